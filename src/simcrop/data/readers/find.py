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
    """Every scan at or below `root`, sorted, each once.

    A folder is listed once, and nothing is asked about its files one by one: on shared storage each such question is a
    journey, and a data set has millions of slices.
    """
    if not root.is_dir():
        return [root] if is_scan(root) else []
    scans: list[Path] = []
    links: list[Path] = []
    for folder, entries in folders_below(root):
        if entries is None or holds_dicom(entries):
            scans.append(folder)  # the reader will say why a closed one cannot be opened
        for entry in filter(may_be_scan, entries or []):
            if entry.is_symlink():
                links.append(Path(entry.path))
            elif entry.is_file() and is_scan_file(Path(entry.path)):
                scans.append(Path(entry.path))
    return sorted([*scans, *scans_behind(links, root, scans)])


def scans_behind(links: list[Path], root: Path, scans: list[Path]) -> Iterator[Path]:
    """Links to files below `root` that are scans by the link's name, and are not found without it.

    Of a link nothing is known until it is followed: one that leads nowhere, in a circle or out of `root` is no scan.
    """
    if not links:
        return
    home = root.resolve()
    # Only links can lead out of the root, and none was followed: the rest lies where its path says.
    found = {home / scan.relative_to(root) for scan in scans}
    for link in sorted(links):
        if not link.is_file():
            continue
        target = link.resolve()
        if target.is_relative_to(home) and target not in found and is_scan_file(link):
            found.add(target)
            yield link


def folders_below(root: Path) -> Iterator[tuple[Path, list[os.DirEntry[str]] | None]]:
    """Every folder, links not followed, with what lies directly in it by name; None for one that may not be opened."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        entries = entries_of(folder)
        yield folder, entries
        waiting += [Path(entry.path) for entry in entries or [] if entry.is_dir(follow_symlinks=False)]


def entries_of(folder: Path) -> list[os.DirEntry[str]] | None:
    """What lies directly in a folder, by name. What each is was told with its name, by most file systems."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return None


def is_scan(path: Path) -> bool:
    """Whether `read_volume` has a reader for this path; a DICOM slice belongs to its folder."""
    if path.is_dir():
        entries = entries_of(path)
        return entries is None or holds_dicom(entries)
    return path.is_file() and not path.name.startswith("._") and is_scan_file(path)


def may_be_scan(entry: os.DirEntry[str]) -> bool:
    """By its name, a scan in a single file."""
    return entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith("._")


def is_scan_file(path: Path) -> bool:
    """The same of a file that is there; a zip is looked into."""
    if path.suffix.lower() == ".zip":
        from simcrop.data.readers.archive import may_hold_dicom

        return may_hold_dicom(path)
    return path.name.lower().endswith(SUFFIXES)


def is_directory(path: Path) -> bool:
    """The list of a DICOM disc."""
    return names_directory(path.name) and path.is_file()


def names_directory(name: str) -> bool:
    """By the name that the standard demands; some systems add a version to it."""
    return name.upper().split(";")[0].removesuffix(".") == "DICOMDIR"


def holds_dicom(entries: list[os.DirEntry[str]]) -> bool:
    """Whether a DICOM picture lies directly in the folder, with or without a suffix; the first one answers."""
    from simcrop.data.readers.dicom import holds_picture

    for entry in entries:
        other = entry.name.lower().endswith(SUFFIXES + NEVER_DICOM) or names_directory(entry.name)
        if not other and is_file(entry) and holds_picture(Path(entry.path)):
            return True
    return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """False for a link in a circle, too."""
    try:
        return entry.is_file()
    except OSError:
        return False
