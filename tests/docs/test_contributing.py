"""`CONTRIBUTING.md` followed to the letter: its files are put into a copy of the package, and they work.

No axes or units.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import simcrop

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILE = re.compile(r"^`(src/simcrop/[^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^ +\"(\w+)\": Layout\(.*\),$", re.MULTILINE)
LONGEST_PAGE = 90  # lines of a section, code included

PROGRAM = """
import json, sys
from pathlib import Path
from simcrop.config import load_recipe
from simcrop.data.layouts import list_studies
from simcrop.evaluation.wording.protocol import read_protocol
from simcrop.objectives.needs import Components
from simcrop.objectives.registry import methods

recipe = load_recipe("denoise-tiny", ["input.shape=[16, 24, 8]", "vision={depth: 1, dim: 36, heads: 3}"])
listing = list_studies("pairs", sys.argv[1])
protocol = read_protocol("plain")
print(json.dumps({
    "methods": list(methods()),
    "terms": list(methods()["denoise"]().build(Components(recipe.input.grid)).terms),
    "studies": [[s.id, s.patient, s.findings] for s in listing.studies],
    "refused": [[r.name, r.reason] for r in listing.refusals],
    "asked": protocol.labels_of(["Emphysema", "Medical material"]),
    "pairs": protocol.pairs_of("Emphysema"),
}))
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with every file that the page tells to write, and the line that it tells to add."""
    home = tmp_path_factory.mktemp("followed")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(simcrop.__file__).parent, home / "src" / "simcrop", ignore=ignored)
    for name, text in FILE.findall(PAGE):
        assert not (home / name).exists(), f"{name} is there already"
        (home / name).write_text(text)
    (line,) = LINE.finditer(PAGE)
    path = home / "src" / "simcrop" / "data" / "layouts" / "__init__.py"
    text = path.read_text().replace(
        "LAYOUTS: dict[str, Layout] = {\n", f"LAYOUTS: dict[str, Layout] = {{\n{line[0]}\n"
    )
    wanted = "from simcrop.data.layouts.luna16"
    path.write_text(text.replace(wanted, f"from simcrop.data.layouts.pairs import list_pairs\n{wanted}", 1))
    return home


def test_a_method_a_data_set_and_a_protocol_as_the_page_has_them_work(followed: Path, tmp_path: Path) -> None:
    for name in ("images/p1_1.nii.gz", "images/p1_2.nii.gz", "reports/p1_1.txt", "reports/p9_1.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("FINDINGS: No nodule. IMPRESSION: Normal.")
    environment = {**os.environ, "PYTHONPATH": str(followed / "src")}
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert "denoise" in said["methods"]
    assert said["terms"] == ["clean"]
    assert said["studies"] == [["p1_1", "p1", "No nodule."], ["p1_2", "p1", ""]]
    assert said["refused"] == [["p9_1", "no-volume"]]
    assert said["asked"] == ["Emphysema"]
    assert said["pairs"][1] == ["Emphysema is seen.", "No Emphysema is seen."]


def test_its_code_is_in_the_house_s_form(followed: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    written = [followed / name for name, _ in FILE.findall(PAGE) if name.endswith(".py")]
    assert len(written) == 2
    config = Path(__file__).parents[2] / "pyproject.toml"
    for verb in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        words = [ruff, *verb, "--config", config, *written]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_way_is_short() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    ways = [section for section in sections if section.startswith("Add a ")]
    assert [way.partition("\n")[0] for way in ways] == ["Add a method", "Add a data set", "Add a protocol"]
    assert max(len(way.splitlines()) for way in ways) <= LONGEST_PAGE
