"""Any mark that recurs at line starts is a list; single cases are in `report_cases.json`."""

import pytest

from simcrop.data.report import sentences

CAPITALS = ["Lungs are clear", "The heart is large", "No pleural effusion"]
SMALL = [item[0].lower() + item[1:] for item in CAPITALS]
SIGNS = (
    "➢ |➢|\uf0b7 |\uf0b7\t|‐ |−|− |○ |○|o |o\t|> |>|+ |+|✓ |✓|→ |~ |~|- |-|– |—|* |** |• |•\t|· |‣ |⁃ |▪ |□ |"
    "☐ |✔\ufe0f |► |» |› |# |## |= |=> |-> |--> |§ |Ø |ü |v |q |x |/ |^ |@ |¤ |† |★ |☑ |‑ |- - |\uf0a7 |"
    "\uf0d8\t|  - |\t• |◯ |∙ |¬ |‧ |・|❑|•\u200b |* * |! |~~ |; |. |: |, |_ |[ ] |[x] |( ) |¿ |① "
)
NUMBERS = (
    "{n}- |{n} - |{n}-|{n}/ |{n}/|#{n} |# {n} |#{n}. |{n}. |{n}.|{n}) |{n})|({n}) |[{n}] |{n}: |{n} : |{n}.) |"
    "{n}.- |{n}– |{n} — |{n}\t|{l}) |{l}. |({l}) |{L}) |{L}. |{l}- |{L}: |{r}) |{r}. |({r}) |{R}. |{R}- |"
    "{R}) |{n}º |{n}° |№{n} |0{n}. |{n}、|（{n}）|  {n}. |{n} . |{n}_ |{n}> |* {n}. |- {n}. |<{n}> |{n}; |{n}, |"
    "{n} = |{n}·|{n}．"
)
ORDER = [
    {"n": 1, "l": "a", "L": "A", "r": "i", "R": "I"},
    {"n": 2, "l": "b", "L": "B", "r": "ii", "R": "II"},
    {"n": 3, "l": "c", "L": "C", "r": "iii", "R": "III"},
]


@pytest.mark.parametrize("items", [CAPITALS, SMALL], ids=["capitals", "small"])
@pytest.mark.parametrize("sign", SIGNS.split("|"))
def test_a_sign_that_recurs_is_a_bullet(sign: str, items: list[str]) -> None:
    assert sentences("\n".join(sign + item for item in items)) == items


@pytest.mark.parametrize("items", [CAPITALS, SMALL], ids=["capitals", "small"])
@pytest.mark.parametrize("form", NUMBERS.split("|"))
def test_numbers_and_letters_that_count_are_a_list(form: str, items: list[str]) -> None:
    lines = [form.format(**order) + item for order, item in zip(ORDER, items, strict=True)]
    assert sentences("\n".join(lines)) == items
    assert sentences("\r\n\r\n".join(lines)) == items


@pytest.mark.parametrize(
    "text",
    [
        "R: clear\nL: clear",
        "T12: old fracture\nL1: normal",
        "C. difficile is seen\nD. dimer is high",
        "5. and 6. ribs are broken\n7. rib is not",
        "3+ edema is seen\n4+ edema is not",
        "1.5 cm nodule in the lingula\n2.5 cm nodule in the apex",
        "Series 3, image 45\nSeries 4, image 12",
    ],
)
def test_what_begins_lines_and_counts_nothing_keeps_its_words(text: str) -> None:
    assert " ".join(sentences(text)).split() == text.split()


def test_only_recurring_signs_vanish() -> None:
    assert sentences("Contrast was given\n+ oral water. No node") == [
        "Contrast was given + oral water.",
        "No node",
    ]
