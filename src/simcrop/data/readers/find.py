"""Scans below a folder: single files by their ending, a folder of DICOM slices as one scan; and what is no scan.

No axes or units. Links that lead out of the folder are not followed. What was thrown away is not taken again: scans in
a trash, or in another folder that a system keeps to itself, are counted and left.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from simcrop.data.readers.foreign import CHUNKED, CONVERT, SUFFIXES, Kind, Sort, names_directory, sort_of
from simcrop.data.readers.left_over import Left, Look, is_folder, left_in, look_at

__all__ = ["SUFFIXES", "Left", "Survey", "find_scans", "is_scan", "survey"]

QUIET = ("ingest.jsonl", "cohort.json", "run.json")  # of a folder that simcrop has written
OUTSIDE = Kind(
    "links", "a link that leads out of the folder, which is not followed: copy what it means into it"
)
NOWHERE = Kind("links", "a link to nothing", many=True)
# Of trashes, of thumbnails, of archives of a Mac; beside all whose names begin with a dot.
SYSTEMS = (
    "@eadir",
    "@recycle",
    "#recycle",
    "$recycle.bin",
    "__macosx",
    "lost+found",
    "system volume information",
)
VERSIONS = (".git", ".hg", ".svn", ".dvc")  # into which nobody looks: what is of use there has a link outside
HIDDEN = Kind(
    "hidden scans",
    "in a trash or another hidden folder; expected empty, or the scans that are meant moved out of it",
    many=True,
)
STORE = Kind("chunked stores", f"a folder in a format of chunks, of which no reader is here; {CONVERT}")
NO_SLICES = Kind(".zip", "a zip without DICOM slices inside; expected what it holds unpacked")


@dataclass
class Survey:
    """All that lies at or below a folder, each folder listed once: scans, what no reader takes, texts and tables.

    `quiet`: folders in which nobody looks for what was left, see `folders_below`.
    """

    scans: list[Path] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    documents: list[Path] = field(default_factory=list)
    quiet: set[Path] = field(default_factory=set)


def find_scans(root: Path) -> list[Path]:
    """Every scan at or below `root`, sorted, each once."""
    return survey(root).scans


def survey(root: Path) -> Survey:
    """A folder is listed once, and nothing is asked about its files one by one: on shared storage each such question is
    a journey, and a data set has millions of slices.
    """
    if not root.is_dir():
        return Survey([root] if is_scan(root) else [])
    found, links, other_links = Survey(), list[Path](), list[Path]()
    thrown_away: dict[Path, list[Path]] = {}
    for folder, entries, quiet, hidden in folders_below(root):
        if entries is None:
            if hidden is None:
                found.scans.append(folder)  # the reader will say why it cannot be opened
            continue
        if hidden is not None:
            thrown_away.setdefault(hidden, []).extend(scans_in(folder, entries))
            continue
        sorts = [(entry, sort_of(entry.name)) for entry in entries]
        looks = looks_at(sorts)
        if Look.PICTURE in looks.values():
            found.scans.append(folder)
        left = list[Left]()
        for entry, sort in sorts:
            if sort is Sort.SCAN and not entry.name.startswith("._"):
                if entry.is_symlink():
                    links.append(Path(entry.path))
                elif entry.is_file():
                    path = Path(entry.path)
                    if is_scan_file(path):
                        found.scans.append(path)
                    else:
                        left.append(Left(path, NO_SLICES, "no-scan"))
            elif sort is Sort.OPEN and entry.is_symlink() and not is_file(entry) and not quiet:
                other_links.append(Path(entry.path))
            elif entry.name.lower().endswith(CHUNKED) and is_folder(entry):
                left.append(Left(Path(entry.path), STORE))
        documents = [entry for entry, sort in sorts if sort is Sort.DOCUMENT and not is_folder(entry)]
        found.documents += [Path(entry.path) for entry in documents]
        if quiet:
            found.quiet.add(folder)
        else:
            found.left += [*left, *left_in(folder, sorts, looks)]
    found.scans += scans_behind(links, root, found)
    found.left += left_hidden(thrown_away, found)
    found.left += folders_behind(other_links, root)
    found.scans.sort()
    found.left.sort(key=lambda left: left.path)
    return found


def scans_in(folder: Path, entries: list[os.DirEntry[str]]) -> Iterator[Path]:
    """The scans that lie directly in a hidden folder; a zip counts for one unopened."""
    if holds_dicom(entries):
        yield folder
    for entry in entries:
        if sort_of(entry.name) is Sort.SCAN and not entry.name.startswith("._") and is_file(entry):
            yield Path(entry.path)


def left_hidden(thrown_away: dict[Path, list[Path]], so_far: Survey) -> Iterator[Left]:
    """Per hidden folder how many scans are in it, without those to which a link leads that was taken."""
    taken = {path.resolve() for path in so_far.scans if path.is_symlink()}
    for hidden, scans in thrown_away.items():
        if left := [path for path in scans if path.resolve() not in taken]:
            yield Left(hidden, HIDDEN, "hidden", len(left))


def looks_at(sorts: list[tuple[os.DirEntry[str], Sort]]) -> dict[str, Look]:
    """What is in the files that may be DICOM slices, up to the first that is one, which speaks for all."""
    looks = dict[str, Look]()
    for entry, sort in sorts:
        if sort is Sort.OPEN and is_file(entry):
            looks[entry.name] = look = look_at(Path(entry.path))
            if look is Look.PICTURE:
                break
    return looks


def scans_behind(links: list[Path], root: Path, so_far: Survey) -> list[Path]:
    """Links to files below `root` that are scans by the link's name, and are not found without it.

    Of a link nothing is known until it is followed: one that leads nowhere, in a circle or out of `root` is left.
    """
    if not links:
        return []
    home, behind = root.resolve(), list[Path]()
    # Only links can lead out of the root, and none was followed: the rest lies where its path says.
    found = {home / scan.relative_to(root) for scan in so_far.scans}
    for link in sorted(links):
        if not link.is_file():
            so_far.left += [Left(link, NOWHERE, "missing-file")] if leads_nowhere(link) else []
            continue
        target = link.resolve()
        if not target.is_relative_to(home):
            so_far.left.append(Left(link, OUTSIDE, "unsafe-path"))
        elif target not in found and is_scan_file(link):
            found.add(target)
            behind.append(link)
    return behind


def folders_behind(links: list[Path], root: Path) -> Iterator[Left]:
    """Links to folders that lie elsewhere, which are not followed, and per folder those that lead nowhere."""
    lost: dict[Path, list[Path]] = {}
    for link in links:
        if leads_nowhere(link):
            lost.setdefault(link.parent, []).append(link)
        elif link.is_dir() and not link.resolve().is_relative_to(root.resolve()):
            yield Left(link, OUTSIDE, "unsafe-path")
    for folder, dead in lost.items():
        yield Left(folder if dead[1:] else dead[0], NOWHERE, "missing-file", len(dead))


def leads_nowhere(link: Path) -> bool:
    """Also a link in a circle."""
    try:
        return not link.exists()
    except (OSError, RuntimeError):
        return True


def folders_below(root: Path) -> Iterator[tuple[Path, list[os.DirEntry[str]] | None, bool, Path | None]]:
    """Every folder, links not followed, with what lies directly in it by name; None for one that may not be opened.

    Quiet is what nobody asks about: what simcrop itself has written, and what a system keeps to itself. Last the hidden
    folder, if it is one or lies in one.
    """
    waiting: list[tuple[Path, bool, Path | None]] = [(root, False, None)]
    while waiting:
        folder, quiet, hidden = waiting.pop()
        entries = entries_of(folder)
        quiet = quiet or any(entry.name in QUIET for entry in entries or [])
        yield folder, entries, quiet, hidden
        for entry in entries or []:
            name = entry.name.lower()
            if is_folder(entry) and not name.endswith(CHUNKED) and name not in VERSIONS:
                below, kept = Path(entry.path), name.startswith(("@", "__"))
                waiting.append((below, quiet or kept, hidden or (below if is_hidden(name) else None)))


def is_hidden(name: str) -> bool:
    """Whether a folder of this name, in lower case, is nothing that a user has put there."""
    return name.startswith(".") or name in SYSTEMS


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


def is_scan_file(path: Path) -> bool:
    """The same of a file that is there; a zip is looked into."""
    if path.suffix.lower() == ".zip":
        from simcrop.data.readers.archive import may_hold_dicom

        return may_hold_dicom(path)
    return path.name.lower().endswith(SUFFIXES)


def is_directory(path: Path) -> bool:
    """The list of a DICOM disc."""
    return names_directory(path.name) and path.is_file()


def holds_dicom(entries: list[os.DirEntry[str]]) -> bool:
    """Whether a DICOM picture lies directly in the folder, with or without a suffix."""
    return Look.PICTURE in looks_at([(entry, sort_of(entry.name)) for entry in entries]).values()


def is_file(entry: os.DirEntry[str]) -> bool:
    """False for a link in a circle, too."""
    try:
        return entry.is_file()
    except OSError:
        return False
