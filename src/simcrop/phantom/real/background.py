"""Findings in real scans: each scan on its own grid with something put into its lungs, and the truth of that alone.

Readers give `(x, y, z)` in a file's own order; painting is `(z, y, x)`, x to the left, y to the back, z up; mm and HU.
Nothing of a source's name or header reaches the output: its scans are background_1, background_2 and so on.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from simcrop.data.readers import find_scans, read_volume
from simcrop.data.volume import Volume, spacing_of
from simcrop.errors import SimcropError
from simcrop.parallel.processes import each
from simcrop.phantom.cohort import DIFFICULTIES
from simcrop.phantom.findings.finding import Finding
from simcrop.phantom.grid import Difficulty, Grid
from simcrop.phantom.layouts.formats import write_nifti
from simcrop.phantom.layouts.tree import Request, mask_path, start_folder, truth_lines, write_file
from simcrop.phantom.patient import generator
from simcrop.phantom.real.chest import RealChest, draw_real_kinds, place_findings
from simcrop.phantom.real.inserting import insert
from simcrop.phantom.real.lungs import find_lungs
from simcrop.phantom.reporting.lungs import LUNG_SLOTS, PLEURA_SLOTS
from simcrop.phantom.reporting.report import PhantomReport, Sentence, conclude
from simcrop.phantom.reporting.wording import found_wording
from simcrop.phantom.truth import to_json_lines

LPS = ("L", "P", "S")
STORED_HU = (-32768, 32767)


@dataclass(frozen=True)
class BackgroundRequest(Request):
    """`scans`: a checksum of which scans lie behind, by place and size."""

    scans: str = ""


@dataclass(frozen=True)
class Job:
    """Insertion `number` goes into scan `source`, for the `turn`-th time; all count from 1."""

    out: Path
    path: Path
    number: int
    source: int
    turn: int
    seed: int
    difficulty: Difficulty

    @property
    def scan(self) -> Path:
        return self.out / f"background_{self.source}" / f"ct_{self.turn}.nii.gz"

    @property
    def report(self) -> Path:
        return self.scan.with_name(f"ct_{self.turn}.txt")

    @property
    def volume(self) -> str:
        """The id that ingest makes from the scan's place."""
        return f"background_{self.source}__ct_{self.turn}"

    @property
    def truth(self) -> Path:
        """What the whole truth takes from this scan; written last."""
        return self.out / "truth" / f"{self.volume}.jsonl"

    @property
    def done(self) -> bool:
        files = (self.scan, self.report, mask_path(self.out, self.volume), self.truth)
        return all(file.is_file() for file in files)


@dataclass(frozen=True)
class Outcome:
    """Of one job: `refused` says in a sentence why there is no scan."""

    job: Job
    refused: str | None = None


@dataclass(frozen=True)
class Inserted:
    """How many scans were written, and why which source gave none."""

    volumes: int
    refused: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Altered:
    """A scan with findings: int16 HU and uint8 mask `(x, y, z)` in the source's own order, and what is said of it."""

    hu: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    report: PhantomReport


def write_background(
    out: Path, folder: Path, patients: int | None, seed: int, difficulty: str = "real", workers: int = 1
) -> Inserted:
    """`patients` insertions, taking the scans of `folder` in turn; one per scan when None. The truth comes last."""
    check(patients, seed, difficulty, workers)
    paths = scans_of(folder, out)
    count = len(paths) if patients is None else patients
    note = BackgroundRequest("folder", count, seed, "own", difficulty, scans=checksum(folder, paths))
    start_folder(out, note)
    jobs = [
        Job(
            out,
            paths[n % len(paths)],
            n + 1,
            n % len(paths) + 1,
            n // len(paths) + 1,
            seed,
            cast(Difficulty, difficulty),
        )
        for n in range(count)
    ]
    outcomes: Iterable[Outcome] = (
        map(write_scan, jobs) if workers == 1 else each(write_scan, jobs, workers, died)
    )
    outcomes = sorted(outcomes, key=lambda outcome: outcome.job.number)
    written = [outcome.job for outcome in outcomes if outcome.refused is None]
    refused = tuple(dict.fromkeys(outcome.refused for outcome in outcomes if outcome.refused is not None))
    if not written:
        raise SimcropError("no-scans", f"nothing could be inserted anywhere; {refused[0]}")
    write_file(out / "truth" / "sentences.jsonl", b"".join(job.truth.read_bytes() for job in written))
    return Inserted(len(written), refused)


def check(patients: int | None, seed: int, difficulty: str, workers: int) -> None:
    if difficulty not in DIFFICULTIES:
        known = ", ".join(DIFFICULTIES)
        raise SimcropError("bad-setting", f"phantom difficulty must be one of {known}, got {difficulty!r}")
    for name, value, least in (("patient", patients, 1), ("worker", workers, 1)):
        if value is not None and value < least:
            raise SimcropError("bad-setting", f"need at least {least} {name}, got {value}")
    if seed < 0:
        raise SimcropError("bad-setting", f"the seed must be 0 or more, got {seed}")


def scans_of(folder: Path, out: Path) -> list[Path]:
    """Every scan below a folder, but not the masks beside a phantom."""
    if not folder.exists():
        raise SimcropError("missing-source", f"{folder}: no such file or folder")
    if out.resolve().is_relative_to(folder.resolve()):
        raise SimcropError(
            "bad-out", f"{out} lies within {folder}, whose scans it would join; choose another"
        )
    answers = folder / "truth" if (folder / "truth" / "phantom.json").is_file() else None
    paths = [p for p in find_scans(folder) if answers is None or not p.is_relative_to(answers)]
    if not paths:
        raise SimcropError("no-scans", f"{folder}: no scan found")
    return paths


def checksum(folder: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files if file.is_file())
        digest.update(f"{path.relative_to(folder)} {size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def write_scan(job: Job) -> Outcome:
    """One scan with findings, unless it is there already. What cannot be used is said, not raised."""
    if job.done:
        return Outcome(job)
    try:
        scan = altered(job)
    except SimcropError as error:
        where = str(job.path)
        return Outcome(job, error.sentence if where in error.sentence else f"{where}: {error.sentence}")
    write_nifti(mask_path(job.out, job.volume), scan.mask.transpose(2, 1, 0), scan.affine)
    text = f"Findings: {scan.report.findings}\nImpression: {scan.report.impression}\n"
    write_file(job.report, text.encode())
    write_nifti(job.scan, scan.hu.transpose(2, 1, 0), scan.affine)
    lines = truth_lines((job.volume,), scan.report)
    write_file(job.truth, to_json_lines(list(lines)).encode())
    return Outcome(job)


def altered(job: Job) -> Altered:
    """The scan of a job with findings, or the reason why it can have none."""
    volume = read_volume(job.path)
    hu, grid = upright(volume)
    x, y, z = grid.spacing_mm
    rng = generator(job.seed, job.number, 1)
    chest = RealChest.of(find_lungs(hu, (z, y, x)), grid, rng)
    kinds = draw_real_kinds(generator(job.seed, job.number, 0))
    findings = place_findings(rng, chest, kinds, job.difficulty)
    if not findings:
        raise SimcropError("no-room", "no place in its lungs is airy enough for a finding")
    mask = insert(hu, findings, chest)
    report = report_on(findings, generator(job.seed, job.number, 2))
    return Altered(as_stored(hu, volume), as_stored(mask, volume), volume.affine, report)


def upright(volume: Volume) -> tuple[np.ndarray, Grid]:
    """A copy of a scan as `(z, y, x)`, the way a phantom lies, and its grid around 0."""
    turn = ornt_transform(io_orientation(volume.affine), axcodes2ornt(LPS))
    hu = np.array(apply_orientation(volume.hu, turn).transpose(2, 1, 0), np.float32, order="C")
    z, y, x = hu.shape
    spacing_mm = spacing_of(volume.affine @ inv_ornt_aff(turn, volume.shape))
    return hu, Grid((x, y, z), spacing_mm, (0.0, 0.0, 0.0))


def as_stored(painted: np.ndarray, volume: Volume) -> np.ndarray:
    """Back to the axes of the source; HU as the nearest whole number."""
    back = ornt_transform(axcodes2ornt(LPS), io_orientation(volume.affine))
    values = apply_orientation(painted.transpose(2, 1, 0), back)
    return values if values.dtype == np.uint8 else np.rint(values).clip(*STORED_HU).astype(np.int16)


def report_on(findings: tuple[Finding, ...], rng: np.random.Generator) -> PhantomReport:
    """One sentence for each finding, and not a word about the rest of the scan, which nobody has looked at."""
    spoken = [(slot, f) for slot in (*LUNG_SLOTS, *PLEURA_SLOTS) for f in findings if f.kind == slot.kind]
    sentences = tuple(Sentence(found_wording(slot, f, rng), f.kind, finding=f) for slot, f in spoken)
    return PhantomReport("", "", sentences, " ".join(conclude(f) for f in findings))


def died(job: Job) -> Outcome:
    return Outcome(job, f"{job.path}: the process that worked on it was killed, perhaps for its memory")
