"""Folders whose name is not UTF-8: refused in one line, since libraries call whole files in them damaged."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError
from simcrop.model.folder import model_folder
from simcrop.tasks.folder import check_writable


@pytest.mark.parametrize("use", [open_cohort, model_folder, check_writable])
def test_a_name_that_no_library_takes_is_said_and_nothing_is_called_damaged(
    use: Callable[[Path], object], tmp_path: Path
) -> None:
    named = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller"))
    (named / "inside").mkdir(parents=True)
    for path in (named, named / "inside"):
        with pytest.raises(
            SimcropError, match="is not UTF-8, and what is in there cannot be read"
        ) as refusal:
            use(path)
        assert refusal.value.reason == "name-not-utf8"
        refusal.value.sentence.encode()


def test_what_follows_such_a_name_may_be_named_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller"))
    named.mkdir()
    monkeypatch.chdir(named)
    check_writable(Path("inside"))
