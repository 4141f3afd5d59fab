"""One text that is written twice: in Markdown for a repository, as a page for whoever opens the folder.

No axes or units. Drawings stand on the page alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from simcrop.figures.page import Page
from simcrop.files.whole import write_whole


class Document:
    """Grows from top to bottom: every method adds below what is there, and returns the document."""

    def __init__(self, title: str, *lead: str) -> None:
        """`lead`: paragraphs below the title."""
        self.lines = [f"# {title}", ""]
        self.page = Page(title, " ".join(lead))
        self.lines += spaced(*lead)

    def section(self, heading: str, text: str = "") -> Self:
        """A heading and a paragraph."""
        self.lines += spaced(f"## {heading}", text)
        self.page.section(heading, text)
        return self

    def table(self, rows: Sequence[Sequence[object]], columns: Sequence[str], caption: str = "") -> Self:
        """One row per entry, cells in the order of `columns`."""
        self.lines += [*spaced(f"{caption}:" if caption else ""), *markdown(columns, rows), ""]
        self.page.table(rows, columns, caption)
        return self

    def drawn(self, heading: str, markup: str, caption: str = "") -> Self:
        """A section of the page alone, see `Page.drawing`."""
        self.page.section(heading).drawing(markup, caption)
        return self

    def write(self, markdown: Path, page: Path) -> None:
        """Each whole or not at all."""
        write_whole(markdown, "\n".join(self.lines).encode())
        self.page.write(page)


def spaced(*paragraphs: str) -> list[str]:
    """Lines of Markdown, an empty one after every paragraph that is there."""
    return [line for text in paragraphs if text for line in (text, "")]


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table in Markdown, line by line."""
    return [
        f"| {' | '.join(columns)} |",
        f"|{' --- |' * len(columns)}",
        *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows),
    ]
