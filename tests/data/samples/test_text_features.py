"""Features of sentences, kept beside the cohort: each sentence is encoded once, whoever asks, however it ends.

Axes: u distinct sentence, d 2 features.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from simcrop.data.samples.text_features import SentenceBank, TextQuestions, build_bank, document_frequencies

REPORTS = [["no effusion.", "a nodule."], [], ["no effusion.", "clear.", "no effusion."]]


def encode(texts: list[str]) -> Tensor:
    """A feature that tells texts apart: their length and their first letter."""
    return torch.tensor([[float(len(text)), float(ord(text[0]) if text else 0)] for text in texts])


class Counted:
    """An encoder that remembers what it was asked."""

    def __init__(self, stop_after: int = 1000) -> None:
        self.asked: list[str] = []
        self.stop_after = stop_after

    def __call__(self, texts: list[str]) -> Tensor:
        if len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += texts
        return encode(texts)


def right(bank: SentenceBank) -> bool:
    assert bank.features is not None
    return torch.equal(bank.features, encode(list(bank.texts)))


def test_only_new_sentences_are_encoded_and_none_is_forgotten(tmp_path: Path) -> None:
    cache, encoder = tmp_path / "sentences" / "minilm.vectors", Counted()
    assert right(build_bank(REPORTS, encoder, cache))
    assert sorted(encoder.asked) == ["a nodule.", "clear.", "no effusion."]
    assert right(build_bank([*REPORTS, ["a cyst."]], encoder, cache))
    assert encoder.asked[3:] == ["a cyst."]
    assert right(build_bank([["a mass.", "clear."]], encoder, cache))  # another split
    assert encoder.asked[4:] == ["a mass."]
    assert right(build_bank([*REPORTS, ["a cyst.", "a mass."]], encoder, cache))
    assert len(encoder.asked) == 5
    assert [p.name for p in cache.parent.iterdir()] == ["minilm.vectors"]


def test_killed_encoding_goes_on_where_it_was(tmp_path: Path) -> None:
    cache, killed, heard = tmp_path / "minilm.vectors", Counted(stop_after=2), []
    with pytest.raises(KeyboardInterrupt):
        build_bank(REPORTS, killed, cache, chunk=1, tell=lambda *words: heard.append(words))
    assert heard == [(1, 3), (2, 3)]
    again = Counted()
    assert right(build_bank(REPORTS, again, cache, chunk=1))
    assert {*killed.asked, *again.asked} == {"a nodule.", "clear.", "no effusion."}
    assert len(again.asked) == 1


@pytest.mark.parametrize("content", [b"", b"torn", b"\x08" + b"\x00" * 7 + b"{}" * 20])
def test_damaged_cache_is_made_anew(tmp_path: Path, content: bytes) -> None:
    cache, encoder = tmp_path / "minilm.vectors", Counted()
    cache.write_bytes(content)
    for _ in range(2):
        assert right(build_bank(REPORTS, encoder, cache))
    assert len(encoder.asked) == 3


def test_cohort_that_cannot_be_written_keeps_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert right(build_bank(REPORTS, encode, tmp_path / "file" / "minilm.vectors"))


class Recorded:
    """One of two processes; what the other adds to a sum was written down before."""

    def __init__(self, rank: int, others: list[Tensor]) -> None:
        self.rank, self.world, self.others, self.mine = rank, 2, iter(others), []

    def total(self, values: Tensor) -> Tensor:
        self.mine.append(values.clone())
        return values + next(self.others, torch.zeros_like(values))


def test_each_process_encodes_its_share_and_all_have_the_whole(tmp_path: Path) -> None:
    first, second = Counted(), Counted()
    alone = Recorded(1, [])
    build_bank(REPORTS, second, tmp_path / "second", chunk=1, ranks=alone)
    main = Recorded(0, alone.mine)
    assert right(build_bank(REPORTS, first, tmp_path / "first", chunk=1, ranks=main))
    assert right(build_bank(REPORTS, Counted(), None, chunk=1, ranks=Recorded(1, main.mine)))
    assert sorted([*first.asked, *second.asked]) == [
        "",
        "a nodule.",
        "clear.",
        "no effusion.",
    ]  # "": an idle one
    assert not (tmp_path / "second").exists()  # one process writes
    assert right(build_bank(REPORTS, lambda _: pytest.fail("encoded again"), tmp_path / "first"))


def test_what_is_asked_besides_is_encoded_after_what_reports_say(tmp_path: Path) -> None:
    turn = {"no effusion.": "effusion.", "a nodule.": "clear."}
    asked = TextQuestions(
        turn.get, lambda text: (len(text), 0), {"a nodule.": "upper"}.get, ("is there?", "clear.")
    )
    cache = tmp_path / "kept.vectors"
    bank = build_bank(REPORTS, encode, cache, asked=asked)
    assert list(bank.texts) == ["a nodule.", "clear.", "no effusion.", "effusion.", "is there?"]
    assert right(bank)
    assert bank.document_frequency[3:].tolist() == [0, 0]
    assert bank.opposite is not None
    assert bank.level is not None
    assert bank.opposite.tolist() == [1, 1, 3, 3, 4]
    assert bank.claims is not None
    assert bank.claims.tolist() == [[len(text), 0] for text in bank.texts]
    assert bank.level.tolist() == [2, -1, -1, -1, -1]
    plain, again = build_bank(REPORTS, encode), Counted()
    assert torch.equal(bank.center(), plain.center()), "the mean sentence is that of the reports"  # type: ignore[arg-type]
    build_bank(REPORTS, again, cache, asked=asked)
    assert again.asked == []
    assert plain.opposite is None
    assert plain.level is None


def test_document_frequency_by_hand() -> None:
    reports = (["A is.", "B is."], ["A is.", "A is."], ["C is."], ["A was."])
    found = document_frequencies(["A is.", "D is.", "C is.", "A is."], iter(reports))
    torch.testing.assert_close(found, torch.tensor([0.5, 0.0, 0.25, 0.5]))
    assert document_frequencies(["A is."], [[], []]).tolist() == [0]


def test_scans_without_a_report_make_no_sentence_rarer() -> None:
    silent = build_bank([*REPORTS, *[[]] * 97], None)
    assert silent.document_frequency.tolist() == build_bank(REPORTS, None).document_frequency.tolist()
    assert silent.document_frequency.tolist() == [0.5, 0.5, 1]  # of the two reports that say something


def test_frequency_is_that_among_the_reports_and_0_of_what_none_says() -> None:
    bank = build_bank(REPORTS, None, asked=TextQuestions(further=("is there?",)))
    held = list(bank.texts)
    found = bank.frequencies([*reversed(held), "never heard of."])
    assert torch.equal(found, torch.cat([bank.document_frequency.flip(0), torch.zeros(1)]))
    assert found[held[::-1].index("is there?")] == 0
