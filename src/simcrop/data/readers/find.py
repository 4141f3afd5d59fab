"""Scans below a folder: single files by their ending, a folder of DICOM slices as one scan.

No axes or units. Links that lead out of the folder are not followed.
"""

import os
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".nii", ".nii.gz", ".mhd", ".mha", ".nrrd", ".nhdr", ".npz", ".zip")
# Endings that no DICOM slice has: the rest is opened to look for the word DICM.
NEVER_DICOM = (
    ".raw",
    ".zraw",
    ".csv",
    ".json",
    ".txt",
    ".md",
    ".xml",
    ".html",
    ".png",
    ".jpg",
    ".pdf",
    ".xlsx",
)


def find_scans(root: Path) -> list[Path]:
    """Every scan at or below `root`, sorted, each once."""
    if not root.is_dir():
        return [root] if is_scan(root) else []
    found: dict[Path, Path] = {}
    home = root.resolve()
    for path in everything_below(root):
        # Of a link nothing is known until it is followed: one that leads nowhere, or in a circle, is no scan.
        if path.is_symlink() and not path.exists():
            continue
        target = path.resolve()
        if target.is_relative_to(home) and is_scan(path):
            # A file and a link to it are one scan; the real path is kept.
            found[target] = path if target not in found or not path.is_symlink() else found[target]
    return sorted(found.values())


def everything_below(root: Path) -> Iterator[Path]:
    """Every folder and file, links not followed; closed folders too, so that they are refused by name."""
    closed: list[str] = []
    for folder, _, files in os.walk(root, onerror=lambda error: closed.append(error.filename)):
        yield Path(folder)
        yield from (Path(folder) / name for name in files)
    yield from map(Path, closed)


def is_scan(path: Path) -> bool:
    """Whether `read_volume` has a reader for this path; a DICOM slice belongs to its folder."""
    if path.is_dir():
        return holds_dicom(path)
    if not path.is_file() or path.name.startswith("._"):
        return False
    if path.suffix.lower() == ".zip":
        from simcrop.data.readers.archive import may_hold_dicom

        return may_hold_dicom(path)
    return path.name.lower().endswith(SUFFIXES)


def holds_dicom(folder: Path) -> bool:
    """Whether a DICOM picture lies directly in the folder, with or without a suffix."""
    from simcrop.data.readers.dicom import holds_picture

    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return True  # the reader will say why it cannot be opened
    for path in inside:
        name = path.name.lower()
        if path.is_file() and not name.endswith(SUFFIXES + NEVER_DICOM) and holds_picture(path):
            return True
    return False
