"""What stands in the Markdown stands on the page, drawings aside."""

from pathlib import Path

from simcrop.figures.document import Document


def test_both_say_the_same_in_the_same_order(tmp_path: Path) -> None:
    text = Document("Title", "What was done.", "Scans: 3.")
    text.section("First", "About it.").table([["a", 1], ["b", 2]], ["name", "count"], "By name")
    text.drawn("Drawn", "<svg></svg>", "a line")
    text.write(tmp_path / "t.md", tmp_path / "t.html")
    assert (tmp_path / "t.md").read_text() == (
        "# Title\n\nWhat was done.\n\nScans: 3.\n\n## First\n\nAbout it.\n\nBy name:\n\n"
        "| name | count |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n"
    )
    page = (tmp_path / "t.html").read_text()
    words = ["Title", "What was done. Scans: 3.", "First", "About it.", "By name", "count", "<svg>", "a line"]
    places = [page.index(f">{word}" if word != "<svg>" else word) for word in words]
    assert places == sorted(places)
