"""From stored studies to a batch: crops, sentences of the bank, indices of their images and padding."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from simcrop.data.preprocess import InputSpec, centred_start, crop_or_pad, to_unit
from simcrop.data.report import Report
from simcrop.data.resampling.plan import resample
from simcrop.data.samples.batch import Batch, image_indices
from simcrop.data.samples.collate import Collate, Texts
from simcrop.data.samples.dataset import Sample, StudyCrops, crop_start, cut
from simcrop.data.samples.text_features import build_bank
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.store.volume_file import write_volume
from simcrop.engine.order import SampleDraw
from simcrop.errors import SimcropError

REPORTS = [["no effusion.", "a nodule."], [], ["no effusion.", "clear.", "no effusion."]]


def encode(texts: list[str]) -> Tensor:
    """A feature that tells texts apart: their length and their first letter."""
    return torch.tensor([[float(len(text)), float(ord(text[0]) if text else 0)] for text in texts])


@pytest.fixture(scope="module")
def cohort(toy_cohort: Path) -> Cohort:
    return open_cohort(toy_cohort)


def sample(i: int, findings: str) -> Sample:
    return Sample(f"study-{i}", torch.full((1, 3, 5, 2), float(i)), Report(findings, "clear."))


def test_image_indices_by_hand() -> None:
    assert image_indices([2, 0, 3]).tolist() == [0, 0, 2, 2, 2]
    assert image_indices([]).tolist() == image_indices([0, 0]).tolist() == []


def test_bank_holds_every_sentence_once_with_its_document_frequency_and_feature() -> None:
    bank = build_bank(REPORTS, encode, chunk=2)
    assert list(bank.texts) == ["a nodule.", "clear.", "no effusion."]
    assert bank.document_frequency[
        bank.ids(["no effusion.", "a nodule.", "clear."])
    ].tolist() == pytest.approx([1, 1 / 2, 1 / 2])
    assert bank.features is not None
    for text in bank.texts:
        assert torch.equal(bank.features[bank.id(text)], encode([text])[0])
    assert bank.center() is not None
    torch.testing.assert_close(bank.center(), encode(list(bank.texts)).mean(0))


def test_bank_of_a_trained_encoder_holds_no_features() -> None:
    bank = build_bank(REPORTS, None)
    assert bank.features is None
    assert bank.center() is None
    assert len(bank.document_frequency) == 3


def test_cohort_without_a_sentence_has_an_empty_bank() -> None:
    bank = build_bank([[], []], encode)
    assert list(bank.texts) == []
    assert bank.center() is not None
    assert not bank.center().isnan().any()  # type: ignore[union-attr]


def test_batch_holds_the_samples_in_order_with_their_sentences(tiny_bert: Path) -> None:
    tokenizer = Tokenizer.load(tiny_bert)
    samples = [sample(0, "A nodule. No effusion."), sample(1, ""), sample(2, "No effusion. Clear.")]
    bank = build_bank([s.report.sentences for s in samples], encode)
    batch = Collate(Texts(tokenizer, bank, 32, 16))(samples)  # type: ignore[arg-type]
    assert isinstance(batch, Batch)
    assert batch.ids == ("study-0", "study-1", "study-2")
    assert len(batch) == 3
    assert batch.volume.shape == (3, 1, 3, 5, 2)
    assert batch.volume[:, 0, 0, 0, 0].tolist() == [0, 1, 2]
    assert batch.sentences.image_index.tolist() == [0, 0, 2, 2]
    texts = [text for s in samples for text in s.report.sentences]
    assert batch.sentences.features is not None
    assert torch.equal(batch.sentences.features, encode(texts))
    assert batch.sentences.document_frequency.tolist() == pytest.approx([1 / 2, 1, 1, 1 / 2])
    sentence_id = batch.sentences.sentence_id.tolist()
    assert sentence_id[1] == sentence_id[2]
    assert len(set(sentence_id)) == 3
    for i, s in enumerate(samples):
        alone = tokenizer.encode([s.report.text], 32)
        length = alone.ids.shape[1]
        assert torch.equal(batch.report.ids[i, :length], alone.ids[0])
        assert not batch.report.mask[i, length:].any()
    assert batch.to(torch.device("cpu")).ids == batch.ids


def test_trained_encoder_gets_tokens_instead_of_features(tiny_bert: Path) -> None:
    tokenizer = Tokenizer.load(tiny_bert)
    samples = [sample(0, "A nodule. No effusion.")]
    bank = build_bank([samples[0].report.sentences], None)
    batch = Collate(Texts(tokenizer, bank, 32, 16))(samples)  # type: ignore[arg-type]
    assert isinstance(batch, Batch)
    assert batch.sentences.features is None
    assert batch.sentences.tokens is not None
    expected = tokenizer.encode(samples[0].report.sentences, 16)
    assert torch.equal(batch.sentences.tokens.ids, expected.ids)


def test_report_of_a_known_study_is_not_split_again(tiny_bert: Path) -> None:
    bank = build_bank([["a nodule.", "clear."]], None)
    known = {"study-0": np.array([1, 0], dtype=np.int32)}
    texts = Texts(Tokenizer.load(tiny_bert), bank, 32, 16, known=known)
    batch = texts.sentences([sample(0, "Never read."), sample(1, "a nodule."), sample(2, "")])  # type: ignore[arg-type]
    assert batch.sentence_id.tolist() == [1, 0, 0]
    assert batch.image_index.tolist() == [0, 0, 1]
    assert batch.tokens is not None
    assert torch.equal(batch.tokens.ids, texts.tokenizer.encode(["clear.", "a nodule.", "a nodule."], 16).ids)


def test_bad_sample_becomes_the_error_of_its_batch(tiny_bert: Path) -> None:
    bank = build_bank([[]], None)
    error = SimcropError("corrupt-volume", "study x: damaged")
    assert Collate(Texts(Tokenizer.load(tiny_bert), bank, 32, 16))([sample(0, ""), error]) is error


def test_crop_from_the_store_is_the_crop_of_the_resampled_scan(cohort: Cohort) -> None:
    study = cohort[0]
    spec = InputSpec(cohort.spacing_mm, (24, 28, 15))
    whole = to_unit(study.read(), spec.window_hu)
    start = centred_start(study.shape, spec.shape)
    expected = crop_or_pad(whole * 1000, start, spec.shape) / 1000  # air is -1000 HU, or -1
    np.testing.assert_allclose(cut(study, spec, None), expected, atol=1e-6)


def test_cohort_of_another_spacing_is_resampled_on_the_way(cohort: Cohort) -> None:
    study = cohort[0]
    spec = InputSpec((20.0, 18.0, 30.0), (10, 14, 9))
    hu = resample(study.volume(), spec.spacing_mm).hu
    x, y, z = hu.shape
    expected = to_unit(crop_or_pad(hu, centred_start((x, y, z), spec.shape), spec.shape), spec.window_hu)
    np.testing.assert_array_equal(cut(study, spec, None), expected)


@pytest.mark.parametrize("spacing_mm", [None, (20.0, 18.0, 30.0)])
@pytest.mark.parametrize("window_hu", [(-1000.0, 1000.0), (-175.0, 250.0)])
@pytest.mark.parametrize("flip", [False, True])
def test_scans_travel_in_hu_and_arrive_as_what_was_cut_to_the_bit(
    cohort: Cohort, spacing_mm: tuple[float, float, float] | None, window_hu: tuple[float, float], flip: bool
) -> None:
    # Larger than the scan along two axes, so that there is padding; stored scans travel as int16.
    spec = InputSpec(spacing_mm or cohort.spacing_mm, (24, 38, 9), window_hu)
    seed = next(s for s in range(99) if (np.random.default_rng((s, 1)).random() < 0.5) == flip)
    sample = StudyCrops(cohort, spec, True, flip_lr=True)[SampleDraw(0, seed)]  # type: ignore[arg-type]
    batch = Collate()([sample])
    assert isinstance(batch, Batch)
    assert batch.volume.dtype == (torch.float32 if spacing_mm else torch.int16)

    arrived = batch.to(torch.device("cpu"))
    expected = cut(cohort[0], spec, np.random.default_rng(seed))
    assert arrived.volume.dtype == torch.float32
    np.testing.assert_array_equal(arrived.volume[0, 0].numpy(), expected[::-1] if flip else expected)
    assert torch.equal(arrived.to(torch.device("cpu")).volume, arrived.volume)  # and once only


def test_a_raw_store_gives_samples_in_memory_of_their_own(cohort: Cohort, tmp_path: Path) -> None:
    study = replace(cohort[0], path=tmp_path / "raw.npy")
    write_volume(study.path, cohort[0].read())
    x, y, z = study.shape
    spec = InputSpec(cohort.spacing_mm, (x, y, z))
    sample, stored = (StudyCrops([s], spec, False)[SampleDraw(0, 0)] for s in (study, cohort[0]))
    assert isinstance(sample, Sample)
    assert isinstance(stored, Sample)
    assert torch.equal(sample.volume, stored.volume)
    sample.volume.zero_()  # a mapped file could not be written to


def test_random_crops_waste_nothing_and_reach_every_start() -> None:
    random = np.random.default_rng(0)
    starts = {crop_start((10, 4, 7), (8, 6, 7), random) for _ in range(200)}
    assert starts == {(x, -1, 0) for x in range(3)}
    assert crop_start((10, 4, 7), (8, 6, 7), None) == (1, -1, 0)


def test_sample_depends_on_its_draw_alone(cohort: Cohort) -> None:
    spec = InputSpec(cohort.spacing_mm, (9, 11, 5))
    data = StudyCrops(cohort, spec, random_crop=True)  # type: ignore[arg-type]
    assert len(data) == len(cohort)
    first, again, other = (data[SampleDraw(1, seed)] for seed in (5, 5, 6))
    assert isinstance(first, Sample)
    assert isinstance(again, Sample)
    assert isinstance(other, Sample)
    assert first.volume.shape == (1, 9, 11, 5)
    assert torch.equal(first.volume, again.volume)
    assert not torch.equal(first.volume, other.volume)
    assert first.id == cohort[1].id
    assert first.report.findings == cohort[1].findings


def test_left_and_right_are_swapped_only_when_asked(cohort: Cohort) -> None:
    spec = InputSpec(cohort.spacing_mm, (24, 28, 15))
    plain, flipped = (StudyCrops(cohort, spec, False, flip_lr=flip) for flip in (False, True))  # type: ignore[arg-type]
    turned = 0
    for seed in range(20):
        a, b = plain[SampleDraw(0, seed)], flipped[SampleDraw(0, seed)]
        assert isinstance(a, Sample)
        assert isinstance(b, Sample)
        if torch.equal(b.volume, a.volume.flip(1)) and not torch.equal(a.volume, a.volume.flip(1)):
            turned += 1
        else:
            assert torch.equal(a.volume, b.volume)
    assert 3 <= turned <= 17


def test_damaged_study_is_an_error_that_names_it(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.data.samples.reading.PAUSES_S", ())
    path = tmp_path / "torn.b2nd"
    path.write_bytes(cohort[0].path.read_bytes()[:50])
    data = StudyCrops([replace(cohort[0], path=path)], InputSpec(cohort.spacing_mm, (9, 11, 5)), False)
    error = data[SampleDraw(0, 0)]
    assert isinstance(error, SimcropError)
    assert error.sentence.startswith(f"study {cohort[0].id}: ")


def test_shifted_crops_begin_half_a_patch_earlier_along_some_axes(cohort: Cohort) -> None:
    spec = InputSpec(cohort.spacing_mm, (9, 11, 5))
    middle = StudyCrops(cohort, spec, False)[SampleDraw(0, 0)]  # type: ignore[arg-type]
    shifted = StudyCrops(cohort, spec, False, half=(3, 2, 1))  # type: ignore[arg-type]
    assert isinstance(middle, Sample)
    seen = set()
    for seed in range(60):
        one = shifted[SampleDraw(0, seed)]
        assert isinstance(one, Sample)
        for back in product((0, 3), (0, 2), (0, 1)):
            ours, theirs = (tuple(slice(n, None) for n in back), tuple(slice(0, -n or None) for n in back))
            if torch.equal(one.volume[0][ours], middle.volume[0][theirs]):
                seen.add(back)
        assert torch.equal(one.volume, shifted[SampleDraw(0, seed)].volume)  # type: ignore[union-attr]
    assert len(seen) == 8
