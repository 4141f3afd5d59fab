"""The folder of a running viewer for what is uploaded and exported: locked while it runs, gone when it ends.

No axes or units. A viewer that is killed cannot clear up; the next one does.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from simcrop.errors import SimcropError
from simcrop.files.lock import locked

PREFIX, LOCK, WHAT = "simcrop-view-", "simcrop-view.lock", "the folder of a viewer"


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new one. Those that killed viewers of the same user left are removed first: scans may lie in them."""
    for folder in Path(gettempdir()).glob(f"{PREFIX}*"):
        remove_if_left(folder)
    with (
        TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name,
        locked(Path(name) / LOCK, WHAT),
    ):
        yield Path(name)


def remove_if_left(folder: Path) -> None:
    """One without a lock file is nobody's that we know; one whose lock file is empty is being locked just now."""
    lock = folder / LOCK
    try:
        if folder.lstat().st_uid != os.getuid() or not lock.read_bytes():
            return
        with locked(lock, WHAT):
            shutil.rmtree(folder, ignore_errors=True)
    except (OSError, SimcropError):
        return  # another user's, or in use
