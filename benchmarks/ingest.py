"""One raw scan to the stored grid on one thread: ours beside the public ways, in turns, and beside inflating alone.

    python benchmarks/ingest.py --repeats 7 --json benchmarks/results/ingest.json

    python benchmarks/ingest.py --workers 2 --scans 60

Prints JSON. The first: median seconds, ratios of the same rounds with their range, and what each way needs in memory
over its imports (a process of its own). MONAI and SimpleITK run where they are installed. Without --scan the scan is a
phantom of 512 x 512 x 300 voxels with the noise of a real one. The second ingests that scan many times by one process
and by several: the whole call, and what a further scan costs once all processes have started.
"""

import argparse
import gzip
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

SPACING = (1.5, 1.5, 3.0)
SHAPE = (224, 224, 112)
BUFFER = 1 << 20
THREADS = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "BLOSC_NTHREADS", "NUMBA_NUM_THREADS")


def ours(scan: Path) -> Any:
    from simcrop.data.ingest.streamed import read_resampled
    from simcrop.data.store.volume_file import rounded

    return rounded(read_resampled(scan, SPACING).volume.hu)


def antialiased(scan: Path) -> Any:
    from simcrop.data.ingest.streamed import read_resampled
    from simcrop.data.store.volume_file import rounded

    return rounded(read_resampled(scan, SPACING, antialias=True).volume.hu)


def inflating(scan: Path) -> Any:
    from isal import igzip

    buffer, total = bytearray(BUFFER), 0
    with igzip.IGzipFile(scan, "rb") as file:
        while count := file.readinto(buffer):
            total += count
    return total


def simpleitk(scan: Path) -> Any:
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    image = sitk.DICOMOrient(sitk.ReadImage(str(scan)), "LPS")
    lengths = [round((n - 1) * old / new) + 1 for n, old, new in sizes(image)]
    return sitk.GetArrayFromImage(
        sitk.Resample(
            image,
            lengths,
            sitk.Transform(),
            sitk.sitkLinear,
            image.GetOrigin(),
            SPACING,
            image.GetDirection(),
            -1000,
        )
    )


def sizes(image: Any) -> Any:
    return zip(image.GetSize(), image.GetSpacing(), SPACING, strict=True)


def monai(scan: Path) -> Any:
    """The pipeline of the public loaders of this field."""
    import torch
    from monai import transforms

    torch.set_num_threads(1)
    return transforms.Compose(
        [
            transforms.LoadImage(image_only=True, ensure_channel_first=True),
            transforms.Orientation(axcodes="RAS"),
            transforms.Spacing(pixdim=SPACING, mode="bilinear"),
            transforms.ScaleIntensityRange(a_min=-1000, a_max=1000, b_min=-1, b_max=1, clip=True),
            transforms.CenterSpatialCrop(SHAPE),
            transforms.SpatialPad(SHAPE),
        ]
    )(scan)


WAYS: dict[str, Callable[[Path], Any]] = {
    "ours": ours,
    "antialiased": antialiased,
    "inflating": inflating,
    "simpleitk": simpleitk,
    "monai": monai,
}
NEEDS = {"simpleitk": "SimpleITK", "monai": "monai"}


def main() -> None:
    chosen = arguments()
    for name in THREADS:
        os.environ[name] = "1"
    if chosen.memory_of:
        print(memory_over_imports(chosen.memory_of, chosen.scan, chosen.warm))
        return
    with tempfile.TemporaryDirectory() as folder:
        scan = chosen.scan or write_phantom(Path(folder) / "scan.nii.gz", chosen.size)
        if chosen.workers > 1:
            report = scaling(scan, Path(folder), chosen)
        else:
            report = measure(scan, write_phantom(Path(folder) / "tiny.nii.gz", "tiny"), chosen)
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def measure(scan: Path, tiny: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    now = process_time if chosen.clock == "cpu" else perf_counter
    ways = {name: way for name, way in WAYS.items() if importlib.util.find_spec(NEEDS.get(name, "numpy"))}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(chosen.repeats + 1):
        for name, way in ways.items():
            started = now()
            way(scan)
            if turn:  # the first round compiles and fills the page cache
                seconds[name].append(now() - started)
    with gzip.open(scan) as file:
        raw = sum(len(piece) for piece in iter(lambda: file.read(BUFFER), b""))
    return {
        "spacing_mm": SPACING,
        "compressed_mb": round(scan.stat().st_size / 1e6, 1),
        "raw_mb": round(raw / 1e6, 1),
        "clock": chosen.clock,
        "repeats": chosen.repeats,
        "seconds": {name: round(median(values), 4) for name, values in seconds.items()},
        "times_ours": {name: ratio(values, seconds["ours"]) for name, values in seconds.items()},
        "ours_over_inflating": ratio(seconds["ours"], seconds["inflating"]),
        "mb_over_imports": {name: memory_in_a_process(name, scan, tiny) for name in ways},
        "not_measured": sorted(set(WAYS) - set(ways)),
    }


def scaling(scan: Path, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Seconds by one process and by several, in turns; every ingest is a new one."""
    seconds: dict[tuple[int, int], list[float]] = {}
    few = 2 * chosen.workers
    for turn in range(chosen.repeats):
        for workers in (1, chosen.workers):
            for count in (few, chosen.scans):
                seconds.setdefault((workers, count), []).append(
                    ingest_copies(scan, folder / f"{turn}-{workers}-{count}", count, workers)
                )
    further = {
        workers: [
            (many - start) / (chosen.scans - few)
            for many, start in zip(seconds[workers, chosen.scans], seconds[workers, few], strict=True)
        ]
        for workers in (1, chosen.workers)
    }
    return {
        "scans": chosen.scans,
        "workers": chosen.workers,
        "repeats": chosen.repeats,
        "seconds": {
            f"{workers} process(es), {count} scans": round(median(values), 3)
            for (workers, count), values in seconds.items()
        },
        "faster_whole_call": ratio(seconds[1, chosen.scans], seconds[chosen.workers, chosen.scans]),
        "faster_per_further_scan": ratio(further[1], further[chosen.workers]),
        "seconds_per_further_scan": round(median(further[1]), 4),
    }


def ingest_copies(scan: Path, folder: Path, count: int, workers: int) -> float:
    from simcrop.data.ingest import ingest

    (folder / "raw").mkdir(parents=True)
    for number in range(count):
        os.link(scan, folder / "raw" / f"{number:04d}.nii.gz")
    started = perf_counter()
    ingest(folder / "raw", "folder", folder / "cohort", SPACING, workers)
    return perf_counter() - started


def ratio(one: list[float], other: list[float]) -> dict[str, float]:
    """Of the same rounds."""
    ratios = [a / b for a, b in zip(one, other, strict=True)]
    return {
        "median": round(median(ratios), 2),
        "least": round(min(ratios), 2),
        "most": round(max(ratios), 2),
    }


def memory_in_a_process(name: str, scan: Path, tiny: Path) -> float:
    command = [sys.executable, __file__, "--memory-of", name, "--scan", str(scan), "--warm", str(tiny)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def memory_over_imports(name: str, scan: Path, warm: Path) -> float:
    """MB at the peak, less what stood after the same work on a tiny scan."""
    WAYS[name](warm)
    before = peak_mb()
    WAYS[name](scan)
    return round(peak_mb() - before, 1)


def peak_mb() -> float:
    """Of this process alone: `ru_maxrss` would count what its parent had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def write_phantom(path: Path, size: str) -> Path:
    """A chest with noise, as a scanner's export looks: int16, deflate level 6."""
    import nibabel as nib

    from simcrop.phantom.patient import draw_patient

    patient = draw_patient(0, 1)
    grid = patient.grid(size)
    hu = patient.scans(size)[0][0].transpose(2, 1, 0)
    x, y, z = grid.spacing_mm
    image = nib.Nifti1Image(hu, [[-x, 0, 0, 0], [0, -y, 0, 0], [0, 0, z, 0], [0, 0, 0, 1]])
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(image.to_bytes())
    return path


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scan", type=Path, help="one's own .nii.gz in the place of the phantom")
    parser.add_argument("--size", choices=["tiny", "small", "full"], default="full", help="of the phantom")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a shared machine")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    parser.add_argument("--workers", type=int, default=1, help="more than one: how ingest scales")
    parser.add_argument("--scans", type=int, default=60, help="of such an ingest")
    parser.add_argument("--memory-of", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--warm", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
