"""The index of some studies in one file that is mapped: loading processes read a row when they read its scan.

No axes. A row is JSON, one after the other. The file is whole or absent, is named after the cohort and the studies in
it, and holds what the cohort's own index holds, reports too.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import torch

from simcrop.data.store.cohort import Cohort, Study, study_of
from simcrop.data.store.format import STUDIES, VOLUMES
from simcrop.data.store.volume_file import Codec
from simcrop.files.digest import digest_of_files, digest_of_texts
from simcrop.files.mapped import Mapped, damaged, open_checked, open_mapped, remove_others, save_mapped
from simcrop.files.text_list import TextList
from simcrop.files.whole import StoreError

INDEX, FORMAT = "index", "1"


@dataclass(frozen=True, eq=False)
class KeptIndex(Sequence[Study]):
    """The studies, in the order in which they were kept."""

    mapped: Mapped
    volumes: Path
    antialias: bool
    codec: Codec
    rows: TextList = field(init=False)

    def __post_init__(self) -> None:
        tensors = self.mapped.tensors
        try:
            rows = TextList(tensors["rows"].numpy(), tensors["rows.starts"].numpy())
        except KeyError as error:
            raise damaged(self.mapped.path) from error
        object.__setattr__(self, "rows", rows)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, i: int) -> Study: ...
    @overload
    def __getitem__(self, i: slice) -> list[Study]: ...
    def __getitem__(self, i: int | slice) -> Study | list[Study]:
        if isinstance(i, slice):
            return [self[one] for one in range(*i.indices(len(self)))]
        row: dict[str, Any] = json.loads(self.rows[i])
        self.mapped.release()
        return study_of(row, self.volumes, self.antialias, self.codec)

    def __reduce__(self) -> tuple[Any, ...]:
        """A loading process that is started afresh gets the name of the file, and opens it itself."""
        return reopened, (self.mapped.path, self.volumes, self.antialias, self.codec)


@lru_cache(maxsize=1)
def reopened(path: Path, volumes: Path, antialias: bool, codec: Codec) -> KeptIndex:
    """Raises SimcropError where the file is gone."""
    return KeptIndex(open_mapped(path), volumes, antialias, codec)


def index_file(folder: Path, studies: Cohort) -> Path:
    """Another cohort or other studies are another file."""
    source = digest_of_files(studies.path / STUDIES)[:12]
    chosen = digest_of_texts([FORMAT, *studies.index["id"].to_list()])[:12]
    return folder / f"{INDEX}-{source}-{chosen}.safetensors"


def found_index(path: Path, studies: Cohort) -> KeptIndex | None:
    """What an earlier run has kept; None where there is nothing, or not as it was written."""
    mapped = open_checked(path)
    if mapped is None:
        return None
    return KeptIndex(mapped, studies.path / VOLUMES, studies.antialias, studies.codec)


def keep_index(path: Path, studies: Cohort) -> KeptIndex | None:
    """Write it, and open it; None where the cohort is read-only or the disk is full."""
    rows = TextList.of(json.dumps(row) for row in studies.index.iter_rows(named=True))
    tensors = {"rows": torch.from_numpy(rows.content), "rows.starts": torch.from_numpy(rows.starts)}
    with suppress(StoreError, OSError):
        path.parent.mkdir(exist_ok=True)
        remove_others(path)
        save_mapped(path, tensors, {})
    return found_index(path, studies)
