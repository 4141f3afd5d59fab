"""Many texts as bytes: each comes back as it was, and is found where it stands. Axes: u text."""

import pytest

from simcrop.files.text_list import TextList

TEXTS = sorted(["", "a nodule.", "no effusion.", "Größe 3 mm", "\ud800 half", "é", "𝕏", "zz"])


def test_texts_come_back_as_they_were() -> None:
    found = TextList.of(TEXTS)
    assert list(found) == TEXTS
    assert found[-1] == TEXTS[-1]
    assert found[1:3] == TEXTS[1:3]
    assert list(TextList.of([])) == []
    for outside in (len(TEXTS), -len(TEXTS) - 1):
        with pytest.raises(IndexError):
            found[outside]


def test_each_text_is_found_among_those_in_order_and_no_other() -> None:
    found = TextList.of(TEXTS)
    assert [found.place(text, 0, len(TEXTS)) for text in TEXTS] == list(range(len(TEXTS)))
    assert found.place(TEXTS[4], 0, 4) is None
    assert found.place("a mass.", 0, len(TEXTS)) is None
    assert TextList.of([]).place("a", 0, 0) is None
