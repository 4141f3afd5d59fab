"""One stored scan to the network's input on one thread, as in training: ours beside the public ways, in turns.

    python benchmarks/load.py --repeats 15 --json benchmarks/results/load.json
    python benchmarks/load.py --workers 1,2,4

Prints JSON: medians in milliseconds from a warm page cache, ratios of the same rounds with their range, and bytes on
disk. `--workers` adds volumes/s of our codecs with so many loading processes at once, beside the 678 that an H200 could
eat at the limit of its products, and the cores and the disk that this takes. Every way starts from the same resampled
scan and ends with a float32 array of 224 x 224 x 112 in [-1, 1]. Without --scan the scan is a phantom with the noise of
a real one.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import nibabel as nib
import numpy as np
import torch

from ingest import THREADS, ratio, write_phantom
from simcrop.data.ingest.streamed import read_resampled
from simcrop.data.preprocess import centred_start, crop_or_pad, paper, to_unit
from simcrop.data.store.volume_file import read_crop, rounded, write_volume

CROP = (128, 128, 64)
EATEN = 678  # volumes/s of one H200 at the limit of its products, at the paper's size


def main() -> None:
    chosen = arguments()
    for name in THREADS:
        os.environ[name] = "1"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        scan = chosen.scan or write_phantom(Path(folder) / "scan.nii.gz", chosen.size)
        hu = read_resampled(scan, paper.spacing_mm).volume.hu
        report = measure(hu, Path(folder), chosen)
        if chosen.workers:
            report["workers"] = feeding(hu, Path(folder), chosen)
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def measure(hu: np.ndarray, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    now = process_time if chosen.clock == "cpu" else perf_counter
    ways, files = store(hu, folder)
    expected = to_unit(
        crop_or_pad(rounded(hu), centred_start(hu.shape, paper.shape), paper.shape), paper.window_hu
    )
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(chosen.repeats + 1):
        for name, way in ways.items():
            started = now()
            found = way()
            if turn:
                seconds[name].append(now() - started)
            elif found.shape == expected.shape:
                assert np.abs(found - expected).max() < 6e-4, name  # half a HU
    base = seconds["nii.gz float32"]
    return {
        "shape": hu.shape,
        "clock": chosen.clock,
        "repeats": chosen.repeats,
        "mb": {name: round(path.stat().st_size / 1e6, 2) for name, path in files.items()},
        "milliseconds": {name: round(1000 * median(values), 2) for name, values in seconds.items()},
        "faster_than_nii_gz_float32": {name: ratio(base, values) for name, values in seconds.items()},
    }


def feeding(hu: np.ndarray, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Volumes/s with so many processes, by codec, and what one H200 takes at that rate. More processes than there are
    cores are left out: they would say nothing.
    """
    files = {codec: folder / f"scan{suffix}" for codec, suffix in (("lz4", ".b2nd"), ("raw", ".npy"))}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [count for count in chosen.workers if count <= cores]
    found: dict[str, Any] = {
        "cores_here": cores,
        "left_out": [count for count in chosen.workers if count > cores],
        "eaten_by_an_h200": EATEN,
    }
    for codec, path in files.items():
        rates = {count: volumes_per_s(path, hu.shape, count, chosen.volumes) for count in counts}
        found[codec] = {
            "volumes_per_s": {str(count): round(rate, 1) for count, rate in rates.items()},
            "disk_gb_per_s_for_an_h200": round(EATEN * path.stat().st_size / 1e9, 2),
            **(cores_for(rates) if rates else {}),
        }
    fed = {codec: found[codec]["cores_for_an_h200"] for codec in files if counts}
    found["fewest_cores"] = min(fed, key=lambda codec: fed[codec]) if fed else None
    return found


def cores_for(rates: dict[int, float]) -> dict[str, Any]:
    """By the rate of each process where most were at work."""
    most = max(rates)
    return {"cores_for_an_h200": ceil(EATEN / (rates[most] / most))}


def volumes_per_s(path: Path, shape: tuple[int, ...], processes: int, volumes: int) -> float:
    """Of that many loading processes together, each a thread; starting them is not counted."""
    with get_context("spawn").Pool(processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        pool.starmap(read_some, [(path, shape, 1)] * processes, chunksize=1)
        started = perf_counter()
        pool.starmap(read_some, [(path, shape, volumes)] * processes, chunksize=1)
        return processes * volumes / (perf_counter() - started)


def read_some(path: Path, shape: tuple[int, int, int], volumes: int) -> None:
    """As the data set of a training reads them: HU of the crop; the window is mapped on the device."""
    for _ in range(volumes):
        read_crop(path, centred_start(shape, paper.shape), paper.shape)


def store(hu: np.ndarray, folder: Path) -> tuple[dict[str, Callable[[], np.ndarray]], dict[str, Path]]:
    """The scan in every form, and how each is read."""
    unit = to_unit(crop_or_pad(hu, centred_start(hu.shape, paper.shape), paper.shape), paper.window_hu)
    files = {
        "nii.gz float32": folder / "unit.nii.gz",
        "nii.gz int16": folder / "hu.nii.gz",
        "torch float32": folder / "unit.pt",
        "ours, lz4": folder / "scan.b2nd",
        "ours, raw": folder / "scan.npy",
    }
    nib.Nifti1Image(unit, np.eye(4)).to_filename(files["nii.gz float32"])
    nib.Nifti1Image(rounded(hu), np.eye(4)).to_filename(files["nii.gz int16"])
    torch.save(torch.from_numpy(unit), files["torch float32"])
    for name in ("ours, lz4", "ours, raw"):
        write_volume(files[name], rounded(hu))

    def crop(values: np.ndarray) -> np.ndarray:
        return to_unit(
            crop_or_pad(values, centred_start(values.shape, paper.shape), paper.shape), paper.window_hu
        )

    def ours(name: str, shape: tuple[int, int, int]) -> np.ndarray:
        return to_unit(read_crop(files[name], centred_start(hu.shape, shape), shape), paper.window_hu)

    def nifti(name: str) -> np.ndarray:
        return np.asarray(nib.load(files[name]).get_fdata(dtype=np.float32))

    ways = {
        "nii.gz float32": lambda: nifti("nii.gz float32"),
        "nii.gz int16": lambda: crop(nifti("nii.gz int16")),
        "torch float32": lambda: torch.load(files["torch float32"], weights_only=True).numpy(),
        "ours, lz4": lambda: ours("ours, lz4", paper.shape),
        "ours, raw": lambda: ours("ours, raw", paper.shape),
        "ours, lz4, a crop of 128 x 128 x 64": lambda: ours("ours, lz4", CROP),
        "ours, raw, a crop of 128 x 128 x 64": lambda: ours("ours, raw", CROP),
    }
    return ways, files


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scan", type=Path, help="one's own scan in the place of the phantom")
    parser.add_argument("--size", choices=["tiny", "small", "full"], default="full", help="of the phantom")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a shared machine")
    parser.add_argument(
        "--workers", type=counts, default=[], help="loading processes, with commas between: 1,2,4"
    )
    parser.add_argument("--volumes", type=int, default=100, help="that each of them reads")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    return parser.parse_args()


def counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
