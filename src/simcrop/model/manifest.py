"""The checksums that a bundle carries: which files it consists of, and whether they are still what they were.

No axes or units. `sha256.json`: the name of each file in the folder -> SHA-256 of its content.
"""

from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import read_json, write_json
from simcrop.hub.harmless import READ, refuse_harmful

MANIFEST = "sha256.json"
Stamp = tuple[tuple[str, int, int], ...]


def write_manifest(folder: Path) -> int:
    """Of all files that are in the folder now, but for those in `BESIDE`; how many they are."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    listed = {name: digest_of_files(folder / name) for name in names if name not in BESIDE}
    write_json(folder / MANIFEST, {"sha256": listed})
    return len(listed)


BESIDE = (MANIFEST, "run.json", "metrics.json")  # the last two are of the command, not of the model


def verify(folder: Path) -> None:
    """Raises SimcropError where a folder says what it consists of and does not; others are taken as they are."""
    if not (folder / MANIFEST).is_file():
        return
    try:
        listed = {str(name): str(digest) for name, digest in read_json(folder / MANIFEST)["sha256"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SimcropError("bad-bundle", f"{folder}/{MANIFEST} is no list of checksums") from error
    refuse_harmful(listed, folder)
    there = {name: digest for name, digest in listed.items() if (folder / name).is_file()}
    # What no verb reads, such as an encoder as ONNX, is not fetched from the hub.
    if missing := [name for name in listed if name not in there and any(fnmatch(name, of) for of in READ)]:
        raise SimcropError(
            "bad-bundle",
            f"{folder} is not whole: it lacks {missing[0]}; copy the bundle again, or make it again",
        )
    stats = [(name, (folder / name).stat()) for name in there]
    compare(folder, tuple(there.items()), tuple((name, s.st_size, s.st_mtime_ns) for name, s in stats))


@cache
def compare(folder: Path, listed: tuple[tuple[str, str], ...], stamp: Stamp) -> None:
    """Once per process for files that did not change since (`stamp`): a verb asks for its model several times."""
    del stamp
    for name, digest in listed:
        if digest_of_files(folder / name) != digest:
            raise SimcropError(
                "bad-bundle",
                f"{folder / name} is damaged or was changed: its SHA-256 is not the one in {MANIFEST}; copy the "
                "bundle again, or make it again",
            )
