"""A running viewer whose model finds what lies where, and Debian's Chromium in front of it.

Axes: scans `(x, y, z)` of voxels; places in RAS+ mm.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[3] / "src" / "simcrop" / "viewer" / "page"
AXE = Path(__file__).parents[3] / "viewer-page" / "node_modules" / "axe-core" / "axe.min.js"
SOFTWARE = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)
PATIENCE_MS = 30_000  # the processor draws, and other tests want it, too

SPACING = (3.5, 3.75, 6.0)
SHAPE = (96, 80, 48)
RIGHT = (70.0, 20.0, 30.0)  # where lesions lie, mm
LEFT = (-70.0, -30.0, -60.0)
REPORT = (
    "Findings: A mass is seen in the right lung. A mass is seen in the left lung. "
    "There is no pleural effusion. The heart is of normal size.\nImpression: Two masses.\n"
)
FINE = {"input": {"spacing_mm": [7, 6, 12], "shape": [48, 56, 24], "patch": [4, 4, 2]}}


def missing(what: str) -> None:
    """Skips and says why; `.ci/run` installs what it can."""
    pytest.skip(f"VIEWER'S PAGE NOT LOOKED AT: {what}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        missing("install Debian's chromium")
    if not (PAGE / "niivue.js").is_file():
        missing("make page")
    api = pytest.importorskip(
        "playwright.sync_api", reason="VIEWER'S PAGE NOT LOOKED AT: pip install playwright"
    )
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=list(SOFTWARE))
        yield opened
        opened.close()


def corner() -> np.ndarray:
    """The centre of the scan's first voxel; its middle is at 0."""
    return -(np.array(SHAPE) - 1) / 2 * SPACING


def chest(places: tuple[tuple[float, ...], ...], radius_mm: float = 18.0) -> tuple[np.ndarray, np.ndarray]:
    """HU of a body with two lungs and balls of soft tissue in them; a label for each ball."""
    x, y, z = (
        (corner()[axis] + SPACING[axis] * np.arange(SHAPE[axis])).reshape(
            [-1 if axis == n else 1 for n in range(3)]
        )
        for axis in range(3)
    )
    hu = np.full(SHAPE, -1000.0)
    hu[np.broadcast_to((x / 150) ** 2 + (y / 110) ** 2 < 1, SHAPE)] = 40
    hu[((np.abs(x) - 75) / 50) ** 2 + (y / 80) ** 2 + (z / 125) ** 2 < 1] = -850
    labels = np.zeros(SHAPE, np.uint8)
    for number, place in enumerate(places, 1):
        ball = (x - place[0]) ** 2 + (y - place[1]) ** 2 + (z - place[2]) ** 2 < radius_mm**2
        hu[ball], labels[ball] = 30, number
    return (hu + np.random.default_rng(5).normal(0, 12, SHAPE)).astype(np.int16), labels


def write_scans(folder: Path) -> Path:
    """A hospital's folder: two scans with reports and masks, one without either."""
    import nibabel as nib

    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = corner()
    folder.mkdir()
    for name, places in {"one": (RIGHT, LEFT), "two": (LEFT,), "three": ()}.items():
        hu, labels = chest(places)
        nib.Nifti1Image(hu, affine).to_filename(folder / f"{name}.nii.gz")
        if places:
            nib.Nifti1Image(labels, affine).to_filename(folder / f"{name}_mask.nii.gz")
            (folder / f"{name}.txt").write_text(REPORT)
    (folder / "classes.json").write_text('{"1": "first mass", "2": "second mass"}')
    return folder


def that_knows(sight: Any) -> None:
    """Lets a model with random weights find the right lesion for words with "right" in them, the left one for others.

    Similarity falls from 1 at a lesion with the distance of a patch's centre.
    """
    import torch

    looked = sight.looked

    def look(entry: Any) -> Any:
        seen = looked(entry)
        grid = sight.model.grid
        cells = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1).reshape(-1, 3)
        voxels = cells * grid.patch + (np.array(grid.patch) - 1) / 2
        at = voxels @ seen.placement.affine[:3, :3].T + seen.placement.affine[:3, 3]
        near = [np.exp(-((at - place) ** 2).sum(1) / 2 / 30**2) for place in (RIGHT, LEFT)]
        rest = np.sqrt(np.clip(1 - near[0] ** 2 - near[1] ** 2, 0, None))
        regions = torch.zeros_like(seen.regions)
        regions[:, :3] = torch.from_numpy(np.stack([*near, rest], 1))
        vars(seen)["regions"] = regions
        return seen

    def encode(sentences: Any) -> Any:
        width = sight.model.encode(["A mass."]).shape[1]
        return torch.eye(width)[[0 if "right" in text else 1 for text in sentences]]

    sight.looked, sight.encode = look, encode


@dataclass(frozen=True)
class Served:
    """A viewer that runs in this process, and where."""

    address: str
    raw: Path
    view: Any


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, small_run: Callable[..., Path]) -> Iterator[Served]:
    uvicorn = pytest.importorskip("uvicorn", reason="EXTRA MISSING: pip install 'simcrop[viewer]'")
    from simcrop.data.ingest import ingest
    from simcrop.viewer.guards import Door
    from simcrop.viewer.serve import configured, listen
    from simcrop.viewer.view import open_view

    home = tmp_path_factory.mktemp("viewed")
    raw = write_scans(home / "raw")
    ingest(raw, "folder", home / "cohort", SPACING)
    (home / "own").mkdir()
    view = open_view(home / "cohort", str(small_run(home / "run", **FINE)), None, home / "own", raw)
    that_knows(view.sight)
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = uvicorn.Server(configured(view, Door("127.0.0.1", port), view.limits))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield Served(f"http://127.0.0.1:{port}/", raw, view)
        server.should_exit = True
        thread.join(20)
    view.stop()


@dataclass
class Seen:
    """What a page did that it may not: lines on its console, errors, requests to other hosts."""

    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def check(self) -> None:
        left = [line for line in self.problems if not any(part in line for part in self.expected)]
        assert left == []


@pytest.fixture
def open_page(browser: Any, served: Served) -> Iterator[Callable[..., Any]]:
    """Opens the viewer in a fresh window. At the end nothing may stand on its console or have gone to another host."""
    made: list[tuple[Any, Seen]] = []

    def open_at(path: str = "#view=axial", width: int = 1120, height: int = 600, scheme: str = "dark") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE_MS)
        page, seen = context.new_page(), Seen()
        page.on("console", lambda line: seen.problems.append(f"{line.type}: {line.text}"))
        page.on("pageerror", lambda error: seen.problems.append(str(error)))
        page.on("request", lambda asked: elsewhere(asked.url, served.address, seen))
        made.append((context, seen))
        page.goto(served.address + path)
        page.locator("html[data-awake]").wait_for()
        page.seen = seen
        return page

    yield open_at
    for context, _ in made:
        context.close()
    for _, seen in made:
        seen.check()


def elsewhere(url: str, address: str, seen: Seen) -> None:
    if not url.startswith((address, "data:", f"blob:{address}")):
        seen.problems.append(f"asked another host: {url}")


@pytest.fixture(scope="session")
def keep_picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any, str], None]:
    """Screenshots, in the folder that SIMCROP_SCREENSHOTS names or with pytest's other leavings."""
    wanted = os.environ.get("SIMCROP_SCREENSHOTS")
    folder = Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Any, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return keep
