"""Heads that are fitted already, kept until the whole probe is done: whoever was killed does not fit them again.

No axes or units. One small file each below the cohort's features, in a folder whose name follows from all that decides
a head; a cohort that cannot be written keeps none.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import simcrop
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.format import FEATURES
from simcrop.files.digest import digest_of_bytes
from simcrop.files.whole import StoreError
from simcrop.tasks.probing.heads import Head, load_head, save_head
from simcrop.tasks.record import plain


class KeptFits:
    """The folder of one probe's heads."""

    def __init__(self, cohort: Cohort, decided_by: Mapping[str, Any]) -> None:
        said = json.dumps([simcrop.__version__, plain(decided_by)], sort_keys=True)
        self.folder = cohort.path / FEATURES / f"{digest_of_bytes(said.encode())[:16]}.fits"

    def head(self, name: str, fit: Callable[[], Head]) -> Head:
        """The one of that name, fitted unless it was."""
        path = self.folder / f"{name}.safetensors"
        found = load_head(path)
        if found is None:
            found = fit()
            with suppress(StoreError, OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                save_head(path, found)
        return found

    def has(self, name: str) -> bool:
        return (self.folder / f"{name}.safetensors").is_file()

    def clear(self) -> None:
        """Once the results are written."""
        shutil.rmtree(self.folder, ignore_errors=True)
