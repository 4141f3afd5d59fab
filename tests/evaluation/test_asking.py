"""Questions to a phantom cohort: asked of the right scan, swapped with what it lacks, answered from its own patches."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from simcrop.data.report import sentences
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.asking import ask, draw_questions, encode_once, play_pointing_game
from simcrop.evaluation.features import patch_features
from simcrop.model import Model, load
from simcrop.phantom.truth import Truth, read_truth


@pytest.fixture(scope="module")
def cohort(line) -> Cohort:
    return open_cohort(line.cohort)


@pytest.fixture(scope="module")
def truth(line) -> Truth:
    return read_truth(line.raw)


@pytest.fixture(scope="module")
def model(line) -> Model:
    return load(line.run)


def test_every_sentence_that_shows_something_is_asked_and_swapped_with_what_the_scan_lacks(
    cohort: Cohort, truth: Truth
) -> None:
    questions = draw_questions(cohort, truth, seed=1)
    assert len(questions) == sum(sentence.shows for study in cohort for sentence in truth.of(study.id))
    studies = {study.id: study for study in cohort}
    kinds = {q.text: q.kind for q in questions}
    for question in questions:
        assert question.text in sentences(studies[question.study].findings)
        assert question.swapped is not None
        has = {s.finding for s in truth.of(question.study) if not s.negated}
        assert question.kind in has
        assert kinds[question.swapped] not in has
        assert question.swapped not in sentences(studies[question.study].findings)
    assert draw_questions(cohort, truth, seed=1) == questions
    assert [q.swapped for q in draw_questions(cohort, truth, seed=2)] != [q.swapped for q in questions]


def test_maps_are_those_of_grounding_one_study_at_a_time(cohort: Cohort, truth: Truth, model: Model) -> None:
    questions = draw_questions(cohort, truth, seed=1)
    pointed = ask(model, cohort, questions, truth)
    study = next(study for study in cohort if study.id == questions[0].study)
    own = [q for q in questions if q.study == study.id]
    heats = model.ground(study.volume(), [q.text for q in own])
    for row, heat in enumerate(heats):
        inside = np.isfinite(pointed.maps[row])
        np.testing.assert_allclose(pointed.maps[row][inside], heat.patches.reshape(-1)[inside], atol=1e-4)
    assert pointed.lesion.shape == (len(questions), model.grid.count)


def test_lesion_is_found_on_the_side_that_its_sentence_names(
    cohort: Cohort, truth: Truth, model: Model
) -> None:
    questions = draw_questions(cohort, truth, seed=1)
    lesion = ask(model, cohort, questions, truth).lesion
    sides = {
        (sentence.volume, sentence.mask_value): sentence.side
        for study in cohort
        for sentence in truth.of(study.id)
    }
    checked = set()
    for question, shares in zip(questions, lesion, strict=True):
        side = sides[question.study, question.mask_value]
        if side not in {"left", "right"} or not shares.any():
            continue
        x = np.array([model.grid.index(int(n))[0] for n in np.flatnonzero(shares)])
        centre = (x * shares[shares > 0]).sum() / shares.sum()
        assert (centre > (model.grid.shape[0] - 1) / 2) == (side == "right"), question.kind
        checked.add(side)
    assert checked == {"left", "right"}


def test_model_that_sees_the_lesions_hits_them_and_a_mirrored_one_does_not(
    cohort: Cohort, truth: Truth, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for a perfect model: each patch's feature is its own number, each sentence's vector its lesion."""
    questions = draw_questions(cohort, truth, seed=1)
    lesion = ask(model, cohort, questions, truth).lesion
    vectors = {q.text: shares for q, shares in zip(questions, lesion, strict=True)}
    shared = {q.text for q in questions if sum(other.text == q.text for other in questions) > 1}
    single = [s for s in cohort if all(q.text not in shared for q in questions if q.study == s.id)]
    eye = np.eye(model.grid.count, dtype=np.float32)

    def see(_: Model, studies: list) -> Iterator[tuple[list, torch.Tensor]]:
        for study in studies:
            yield [study], torch.from_numpy(eye[None])

    monkeypatch.setattr("simcrop.evaluation.asking.regions", see)
    monkeypatch.setattr("simcrop.evaluation.asking.encode_once", lambda *_: vectors)
    found = play_pointing_game(model, single, truth, seed=1)
    assert found.hit.value == 1.0
    assert found.swapped.value < 0.7
    mirrored = {
        text: np.flip(shares.reshape(model.grid.shape), 0).reshape(-1) for text, shares in vectors.items()
    }
    monkeypatch.setattr("simcrop.evaluation.asking.encode_once", lambda *_: mirrored)
    assert play_pointing_game(model, single, truth, seed=1).hit.value < 0.7


def test_sentences_are_encoded_once_each(model: Model) -> None:
    once = encode_once(model, ["b is here.", "a is there.", "b is here."])
    assert list(once) == ["a is there.", "b is here."]
    expected = model.encode(["b is here."])[0].cpu().numpy()
    np.testing.assert_allclose(once["b is here."], expected, atol=1e-5)


def test_features_come_in_the_order_of_the_studies_whatever_the_pass(cohort: Cohort, model: Model) -> None:
    whole = [(some, features) for some, features in patch_features(model, cohort, at_once=5)]
    assert [len(some) for some, _ in whole][:-1] == [5] * (len(whole) - 1)
    assert [study.id for some, _ in whole for study in some] == cohort.index["id"].to_list()
    last = whole[-1][1][-1].numpy()
    single = next(patch_features(model, [cohort[len(cohort) - 1]]))[1][0].numpy()
    np.testing.assert_allclose(last, single, atol=1e-5)


def test_truth_of_another_cohort_is_one_line(
    cohort: Cohort, truth: Truth, model: Model, tmp_path: Path
) -> None:
    late = tuple(replace(sentence, sentence_index=99) for sentence in truth.sentences)
    with pytest.raises(SimcropError, match="not the one that the truth describes"):
        draw_questions(cohort, Truth(truth.folder, late), seed=0)
    with pytest.raises(SimcropError, match="no sentence of these studies"):
        play_pointing_game(model, cohort, Truth(truth.folder, ()))
    with pytest.raises(SimcropError, match=r"lesions\.nii\.gz: no such file"):
        play_pointing_game(model, cohort, Truth(tmp_path, truth.sentences))
