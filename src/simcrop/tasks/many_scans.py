"""What is done to every one of many scans: killed anywhere and continued, and one that is bad is refused while the
rest goes on. No axes or units.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from simcrop.engine.progress import Pace, Progress, show_progress
from simcrop.errors import SimcropError
from simcrop.figures.page import Page
from simcrop.files.whole import StoreError, writing
from simcrop.tasks.scans import Scan, Unread

Row = dict[str, Any]
Tell = Callable[[int, int], None]  # how many parts of a scan are done, and of how many


@contextmanager
def folder_of_results(folder: Path) -> Iterator[None]:
    """Made if need be, and gone again if nothing came to lie there."""
    with writing(folder):
        folder.mkdir(exist_ok=True)
    try:
        yield
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()


def each_scan(
    verb: str,
    scans: Sequence[Scan],
    earlier: Callable[[Scan], Row | None],
    do: Callable[[Scan, Tell], Row],
    parts: str = "parts",
) -> tuple[dict[str, Row], list[Unread]]:
    """What is known of each scan by id, from an interrupted job (`earlier`) or now (`do`), and those that were refused.

    Raises StoreError: where results cannot be written, no other scan's can.
    """
    rows = {scan.id: row for scan in scans if (row := earlier(scan)) is not None}
    progress, pace, refused, words = show_progress(verb), Pace("scans"), list[Unread](), ""
    for scan in scans:
        if scan.id in rows:
            continue
        done = len(rows) + len(refused)
        tell = partial(tell_parts, progress, done, len(scans), words, parts, Pace(parts))
        try:
            rows[scan.id] = do(scan, tell)
        except StoreError:
            raise
        except SimcropError as error:
            refused.append(Unread(scan.id, error.reason, error.sentence))
        words = pace(done + 1, len(scans))
        progress(done + 1, len(scans), words)
    return rows, refused


def tell_parts(
    progress: Progress, done: int, scans: int, words: str, parts: str, pace: Pace, part: int, of: int
) -> None:
    """Within a scan; the time left is that of all scans once one of them is done, before that of this one."""
    beside = pace(part, of)
    progress(done, scans, f"{parts.removesuffix('s')} {part} of {of}; {words or beside}")


def nothing_done(refused: Sequence[Unread], could: str) -> SimcropError:
    """Where not one scan `could be ...`."""
    if not refused:
        return SimcropError("no-scans", "no scan to look at")
    first = refused[0].sentence
    many = f"none of {len(refused)} scans {could}; of the first: {first}"
    return SimcropError(refused[0].reason, first if len(refused) == 1 else many)


def show_refused(page: Page, refused: Sequence[Unread], text: str) -> None:
    """A section about them, if there are any."""
    if refused:
        rows = [[one.id, one.reason, one.sentence] for one in refused]
        page.section("Refused", text).table(rows, ["scan", "reason", "what is wrong"])
