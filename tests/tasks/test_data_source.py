"""What a model says of its data: whose they are as far as the cohort shows, and never where."""

import json
from pathlib import Path

import pytest

from simcrop.data.layouts.drawn import INSERTED, PHANTOM
from simcrop.tasks.data_source import NOT_STATED, data_of


def cohort(folder: Path, **facts: object) -> Path:
    folder.mkdir()
    (folder / "cohort.json").write_text(json.dumps({"kind": "simcrop-cohort", "format": 2, **facts}))
    return folder


@pytest.fixture(autouse=True)
def any_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcrop.data.store.cohort.FORMAT", 2)


def test_known_data_set_has_its_licence_and_an_own_one_has_none(tmp_path: Path) -> None:
    told = data_of(cohort(tmp_path / "a", layout="ct-rate", source=str(tmp_path)))
    assert told == {"layout": "ct-rate", "data_licence": "CT-RATE: CC BY-NC-SA 4.0, no redistribution"}
    assert data_of(cohort(tmp_path / "b", layout="folder"))["data_licence"] == NOT_STATED
    assert data_of(cohort(tmp_path / "c", layout="folder", licence="CC0"))["data_licence"] == "CC0"


@pytest.mark.parametrize("kind", [PHANTOM, INSERTED])
def test_phantom_is_told_from_what_it_imitates(tmp_path: Path, kind: str) -> None:
    told = data_of(cohort(tmp_path / "a", layout="ct-rate", source=str(tmp_path), made_by=kind))
    assert told["made_by"] == kind
    assert (told["data_licence"] == NOT_STATED) == (kind == INSERTED)
    assert str(tmp_path) not in json.dumps(told)
