"""The page: everything inside, everything escaped, written whole or not at all."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simcrop.errors import SimcropError
from simcrop.figures.curves import draw_curves
from simcrop.figures.page import Page, png_size, written

EVIL = "<script>alert('a' & \"b\")</script>"
VOID = {"meta", "img"}


class Nesting(HTMLParser):
    """Checks that every tag that opens also closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def png(width: int = 31, height: int = 17) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


def full_page() -> Page:
    page = Page(EVIL, EVIL).figures({EVIL: EVIL, "studies": 24})
    page.section(EVIL, f"{EVIL}\n\nsecond").picture(png(), EVIL, EVIL)
    page.pictures([(png(), EVIL), (png(40, 12), EVIL)], EVIL)
    page.section("two").table([[EVIL, 1.5], ["b", None]], [EVIL, "score"], EVIL)
    return page.section("three").drawing(draw_curves([{"step": 1, EVIL: 2.0}], [EVIL], EVIL), EVIL)


def test_text_is_escaped_everywhere_and_tags_nest() -> None:
    document = full_page().html()
    reader = Nesting()
    reader.feed(document)
    assert reader.open == []
    assert "script" not in reader.seen
    assert EVIL not in document
    assert document.count("&lt;script&gt;") >= 12


def test_page_refers_to_nothing_outside_itself() -> None:
    document = full_page().html()
    assert re.findall(r"https?:|//[a-z]|@import|url\(|<link|<iframe", document) == []
    assert set(re.findall(r'(?:src|href)="([^"]{1,5})', document)) == {"data:", "#s1", "#s2", "#s3"}
    assert "default-src 'none'" in document
    assert "prefers-color-scheme: dark" in document


def test_picture_is_inside_with_its_size() -> None:
    document = Page("t").picture(png(40, 12), "below").html()
    assert 'class="picture wide"' in document
    assert 'width="40" height="12" alt="below"' in document
    assert png_size(png(40, 12)) == (40, 12)
    with pytest.raises(ValueError, match="PNG"):
        Page("t").picture(b"GIF89a")


def test_columns_of_numbers_are_flush_right() -> None:
    document = Page("t").table([["a", 1], ["b", None]], ["name", "count"]).html()
    assert '<th>name</th><th class="number">count</th>' in document
    assert '<td class="number">–</td>' in document
    with pytest.raises(ValueError, match="1 cells"):
        Page("t").table([["a"]], ["name", "count"])


def test_values_are_written_for_readers() -> None:
    values = [2744, -3, 0.123456, np.float32(2.5), np.int64(12), True, None, float("nan"), "x"]
    assert [written(v) for v in values] == ["2\u202f744", "−3", "0.1235", "2.5", "12", "yes", "–", "–", "x"]


def test_large_numbers_are_written_with_thin_spaces_whatever_their_type() -> None:
    values = [12345.6, -1024.0, np.float32(999.97), 47149, 0.00012, 3.5e14, float("inf")]
    expected = ["12\u202f346", "−1\u202f024", "1\u202f000", "47\u202f149", "0.00012", "3.5e+14", "inf"]
    assert [written(v) for v in values] == expected


def test_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    goal = tmp_path / "report.html"
    Page("old").write(goal)
    Page("Größe").write(goal)
    assert "Größe" in goal.read_text("utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(SimcropError, match="cannot be written"):
        Page("x").write(tmp_path / "folder")
    with pytest.raises(SimcropError, match="cannot be written"):
        Page("x").write(tmp_path / "absent" / "report.html")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "report.html"]
