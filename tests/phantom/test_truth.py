"""The truth beside a phantom: every sentence with its finding, and back from disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simcrop.errors import SimcropError
from simcrop.phantom.patient import draw_patient
from simcrop.phantom.reporting.report import Sentence, write_report
from simcrop.phantom.truth import Truth, TruthSentence, read_truth, to_json_lines, truth_of


def lines_of(number: int) -> list[TruthSentence]:
    patient = draw_patient(5, number, "real", ["Lung nodule", "Pleural effusion", "Cardiomegaly"])
    report = write_report(patient.findings, False, patient.words())
    return [truth_of(f"train_{number}_a_1", i, sentence) for i, sentence in enumerate(report.sentences)]


def test_a_finding_carries_its_place_size_volume_and_density() -> None:
    patient = draw_patient(5, 1, "real", ["Lung nodule"])
    nodule = patient.findings[0]
    line = truth_of("train_1_a_1", 7, Sentence("There is a nodule.", "Lung nodule", finding=nodule))
    assert (line.volume, line.sentence_index, line.finding) == ("train_1_a_1", 7, "Lung nodule")
    assert (line.side, line.lobe, line.mask_value) == (nodule.side, nodule.lobe, 1)
    assert (line.size_mm, line.volume_ml) == (nodule.size_mm, nodule.volume_ml)
    assert (line.hu_low, line.hu_high) == nodule.hu_range
    assert line.shows
    assert not line.negated


def test_a_denial_names_its_kind_and_shows_nothing() -> None:
    line = truth_of("a", 0, Sentence("No pleural effusion was detected.", "Pleural effusion", negated=True))
    assert (line.finding, line.negated, line.mask_value, line.shows) == ("Pleural effusion", True, 0, False)
    assert line.side is line.lobe is line.size_mm is line.volume_ml is line.hu_low is None
    silent = truth_of("a", 1, Sentence("The bones are intact."))
    assert (silent.finding, silent.negated, silent.shows) == (None, False, False)


def test_truth_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    lines = lines_of(1) + lines_of(2)
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "sentences.jsonl").write_text(to_json_lines(lines))
    truth = read_truth(tmp_path)
    assert truth.sentences == tuple(lines)
    assert truth.of("train_2_a_1") == tuple(lines_of(2))
    assert truth.mask_path("train_2_a_1") == tmp_path / "truth" / "train_2_a_1_lesions.nii.gz"
    kinds = {line.finding for line in truth.of("train_2_a_1") if line.shows}
    assert kinds == {"Lung nodule", "Pleural effusion", "Cardiomegaly"}


def test_a_truth_from_before_volumes_were_measured_is_read(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    old = (
        '{"volume": "a", "sentence_index": 0, "finding": null, "negated": false, "side": null, "lobe": null, '
        '"mask_value": 0, "size_mm": null}\n'
    )
    (tmp_path / "truth" / "sentences.jsonl").write_text(old)
    assert read_truth(tmp_path).sentences[0].volume_ml is None


def test_a_line_that_is_no_truth_is_refused_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "sentences.jsonl").write_text(to_json_lines(lines_of(1)) + "{}\n")
    with pytest.raises(SimcropError, match=f"line {len(lines_of(1)) + 1}"):
        read_truth(tmp_path)


class Counted(tuple[TruthSentence, ...]):
    """Sentences that tell how often all of them were looked through."""

    times = 0

    def __iter__(self) -> Iterator[TruthSentence]:
        self.times += 1
        return super().__iter__()


def test_the_sentences_are_looked_through_once_however_many_volumes_are_asked_for() -> None:
    lines = Counted(lines_of(1) + lines_of(2))
    truth = Truth(Path("truth"), lines)
    assert [len(truth.of(f"train_{number}_a_1")) for number in (1, 2, 3)] == [
        len(lines_of(1)),
        len(lines_of(2)),
        0,
    ]
    assert lines.times == 1
