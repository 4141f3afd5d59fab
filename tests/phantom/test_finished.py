"""A finished tree is known as such: asked for again, no patient is drawn, unless a file has gone."""

from pathlib import Path

import pytest

from simcrop.phantom import cohort
from simcrop.phantom.cohort import write_cohort
from simcrop.phantom.finished import volumes_of_finished
from simcrop.phantom.layouts.tree import Request

PATIENTS = Request("ct-rate", 4, 5, "tiny")  # the fourth has two scans


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the patients that were drawn, in order."""
    numbers: list[int] = []

    def draw(seed: int, number: int, *more, real=cohort.draw_patient):
        numbers.append(number)
        return real(seed, number, *more)

    monkeypatch.setattr(cohort, "draw_patient", draw)
    return numbers


def test_only_a_tree_that_misses_a_file_draws_its_patients_again(tmp_path: Path, drawn: list[int]) -> None:
    out = tmp_path / "out"
    assert volumes_of_finished(out) is None
    assert write_cohort(out, PATIENTS) == 5
    assert drawn == [1, 2, 3, 4]
    (out / "metrics.json").write_text("{}")  # a command adds it afterwards, and takes it away
    assert write_cohort(out, PATIENTS) == 5
    assert len(drawn) == 4

    (out / "metrics.json").unlink()
    (scan,) = out.rglob("valid_1_a_1.nii.gz")
    whole = scan.read_bytes()
    scan.unlink()
    assert volumes_of_finished(out) is None
    assert write_cohort(out, PATIENTS) == 5
    assert drawn[4:] == [1, 2, 3, 4]
    assert scan.read_bytes() == whole
    assert volumes_of_finished(out) == 5


def test_a_tree_that_was_never_finished_is_gone_on_with(
    tmp_path: Path, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cohort, "note_finished", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_cohort(tmp_path, PATIENTS)
    assert write_cohort(tmp_path, PATIENTS) == 5
    assert len(drawn) == 8
