"""Letters inside a line; whole sentences are in `report_cases.json`."""

import pytest

from simcrop.data.reports.letters import without_list_letters


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("a) x b) y c) z", "|x |y |z"),
        ("(a) x; (b) y", "|x; |y"),
        ("A. Xx. B. Yy.", "|Xx. |Yy."),
        ("I. Xx. II. Yy. III. Zz.", "|Xx. |Yy. |Zz."),
        ("Lungs: a) x b) y. Heart: a) z b) w", "Lungs: |x |y. Heart: |z |w"),
        ("a) x c) y", "a) x c) y"),
        ("b) x c) y", "b) x c) y"),
        ("a) x (b) y", "a) x (b) y"),
        ("lesions a) x b) y", "lesions a) x b) y"),
        ("a) x", "a) x"),
        ("A. B. Stone. C. Wood.", "A. B. Stone. C. Wood."),
        ("a. x b. y", "a. x b. y"),
    ],
)
def test_letters_that_count_from_the_first_are_marked(text: str, marked: str) -> None:
    assert without_list_letters(text, "|") == marked
