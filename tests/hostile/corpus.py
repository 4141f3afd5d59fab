"""The corpus: every case is a kind and a number, from which its files follow alone.

Axes: those of `scans`.
"""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from damage import DAMAGE, Random
from headers import lying_dicom, lying_nifti, lying_npz, lying_text
from scans import PLACE, SCANS, Scan, dicom_folder, in_zip, slice_folder
from tables import write_table

TABLES = ("folder-table", "ct-rate-table")
KINDS = (*SCANS, *TABLES)
sound = cache(lambda kind: SCANS[kind]())


def cases(count: int) -> Iterator[tuple[str, int]]:
    """`count` cases, all kinds by turns."""
    for i in range(count):
        yield KINDS[i % len(KINDS)], i // len(KINDS)


def write_case(kind: str, number: int, folder: Path) -> Path:
    """The files of one case; the path that is asked for, or the changed table."""
    random = np.random.default_rng([zlib.crc32(kind.encode()), number])
    if kind in TABLES:
        return write_table(kind, folder, random)
    return mutated(kind, random).write(folder)


def mutated(kind: str, random: Random) -> Scan:
    """Lies in the header or damaged bytes; of archives also what lies inside."""
    scan = sound(kind)
    lie = int(random.integers(5)) < 3
    if kind == "dicom-zip" and lie:
        return in_zip(inner(dicom_folder(), random, lying=True), "export", "scan.zip", scan.to_read)
    if kind == "png-zip" and lie:
        return in_zip(inner(slice_folder("PNG"), random, lying=False), PLACE, "CP-1.zip", scan.to_read)
    if lie and kind in ("png", "jpeg", "bmp"):
        return inner(scan, random, lying=False)
    if lie:
        return lied(kind, scan, random)
    return damaged(scan, random)


def lied(kind: str, scan: Scan, random: Random) -> Scan:
    if kind == "nii2":
        return damaged(scan, random)
    if kind.startswith("nii"):
        return lying_nifti(scan, random)
    if kind.startswith("npz"):
        return lying_npz(scan, random)
    return lying_dicom(scan, random) if kind == "dicom" else lying_text(scan, random)


def inner(scan: Scan, random: Random, lying: bool) -> Scan:
    return lying_dicom(scan, random) if lying and random.integers(2) else damaged(scan, random)


def damaged(scan: Scan, random: Random) -> Scan:
    """One file damaged once or twice, or gone."""
    names = sorted(scan.files)
    name = names[int(random.integers(len(names)))]
    if len(names) > 1 and random.integers(20) == 0:
        return replace(scan, files={k: v for k, v in scan.files.items() if k != name})
    content = scan.files[name]
    for _ in range(int(random.integers(1, 3))):
        if content:
            content = DAMAGE[int(random.integers(len(DAMAGE)))](content, random)
    return replace(scan, files=scan.files | {name: content})
