"""What exports leave in a cell is gone, and what looks like it stays."""

import pytest

from simcrop.data.reports.leavings import clean_cell, clean_name


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (r"Clear.\nLarge heart.", "Clear.\nLarge heart."),
        (r"Clear.\r\n\r\nLarge heart.", "Clear.\n\nLarge heart."),
        (r"lungs are\nclear and\nnormal", "lungs are\nclear and\nnormal"),
        (r"Nodes:\n- a\n- b", "Nodes:\n- a\n- b"),
        (r"a\tB", "a B"),
        (r"5 \u00b1 2\xa0mm", "5 ± 2 mm"),
        ("C\0lear\0.\x07 No\x1fnodule.\x1eDry\x7fair.\r\n\tEnd", "Clear.  No nodule.\nDry air.\n\tEnd"),
        ("\0", ""),
        ("a_x000D_\nb", "a\nb"),
        ("a_x000d__x000a_b_x0009_c_x005F_", "a\nb c_"),
        ("a<br>b<BR />\nc<br/>d", "a\nb\nc\nd"),
        ("<p>a</p><p>b</p>", "\na\n\nb\n"),
        ("<ul><li>a</li></ul>", "\n\n• a\n\n"),
        ('<b>Lungs:</b> <span style="x">clear</span>, 3 cm<sup>3</sup><o:p></o:p>', "Lungs: clear, 3 cm3"),
        ("<!-- made by x -->a<style>p {color: red}</style>b", "ab"),
        ("a&nbsp;b&#160;c", "a b c"),
        (
            "&lt;5 mm, &gt; 3 &amp; 5&deg; &plusmn;2, patient&#39;s &quot;halo&quot;",
            '<5 mm, > 3 & 5° ±2, patient\'s "halo"',
        ),
        ("&amp;lt;5 mm", "<5 mm"),
        ("a&#xD;&#xA;b", "a\nb"),
        (r"a\.br\b\T\c", "a\nb&c"),
        ("a<CR><LF>b", "a\nb"),
        ("**Lungs:** clear", "Lungs: clear"),
        ("â€¢ 5 Â± 2 mm, Ã¶dem", "• 5 ± 2 mm, ödem"),
        (r"\par Clear.\par No node.\par \b Normal\b0 , \'e4", "\nClear.\nNo node.\nNormal, ä"),
        (r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\pard\f0\fs20 Clear.\par Dry.}", "Clear.\nDry."),
        ("Clear.~No node.~Normal.", "Clear.\nNo node.\nNormal."),
        ("Clear.| No node.| Normal.", "Clear.\n No node.\n Normal."),
        ("a\u2028b\x0bc", "a\nb\nc"),
        *(
            (word, "")
            for word in ("nan", "NaN", " None ", "NULL", "null", "N/A", "#N/A", "<NA>", "na", "-", "NaT")
        ),
    ],
)
def test_leavings_are_cleaned(cell: str, text: str) -> None:
    assert clean_cell(cell) == text


@pytest.mark.parametrize(
    "cell",
    [
        "<5 mm and >3 mm",
        "p<0.05 and b>3",
        "<NAME> on <DATE>",
        "[**Name**] of [**Hospital**]",
        "___ was seen",
        "R&D, R&D; x",
        r"mass\nodule",
        r"left\right lung",
        "Clear.~ 5 mm, a|b, c.|d",
        r"C:\temp\scan",
        "None.",
        "Nantes",
        "Âge: 65, œdème",
        "L_x1_ 5",
    ],
)
def test_what_is_no_leaving_stays(cell: str) -> None:
    assert clean_cell(cell) == cell


def test_names_lose_only_words_for_emptiness() -> None:
    assert [clean_name(name) for name in ("nan", "None", r"C:\new\a&amp;b", "NA")] == [
        "",
        "",
        r"C:\new\a&amp;b",
        "NA",
    ]
