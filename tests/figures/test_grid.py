"""A table of results: every cell under its heading, marks and the paper's ground, nothing unescaped."""

import pytest

from simcrop.figures.grid import Entry, Heading, Line, draw_grid

HEADINGS = (Heading("ours", ("1 %", "10 %")), Heading("theirs", ("1 %",), paper=True))


def test_marks_and_grounds_stand_on_their_cells() -> None:
    entries = (Entry("81.0", "[80, 82]", "best"), Entry("<b>", "", "second"), Entry("79.0"))
    markup = draw_grid(HEADINGS, [Line("A & B", entries, "group"), Line("C", entries, "group")], "method")
    assert markup.count('<td class="apart best"><span>81.0</span><small>[80, 82]</small></td>') == 2
    assert markup.count('<td class="second"><span>&lt;b&gt;</span></td>') == 2
    assert markup.count('<td class="paper apart"><span>79.0</span></td>') == 2
    assert markup.count('<tr class="group">') == 1
    assert "<th>A &amp; B</th>" in markup


def test_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row has 1 cells, the table has 3 columns"):
        draw_grid(HEADINGS, [Line("A", (Entry("1"),))])
