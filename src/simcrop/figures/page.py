"""One HTML file that explains a run to a reader: text, key numbers, tables, pictures.

Everything is inside the file (pictures as base64, style inline) and the page forbids itself every request, so it can
be mailed or opened in a hospital without network. No axes; lengths in the style sheet are CSS pixels.
"""

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources import files
from numbers import Integral, Real
from pathlib import Path

from simcrop.files.whole import write_whole

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
WIDE = 1.8  # wider than tall by this factor: on a phone the picture scrolls sideways instead of shrinking
FEWEST_LINKS = 3
TOO_LONG = 1e12  # to be written out


class Page:
    """Grows from top to bottom: every method adds below what is there, and returns the page."""

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self.lead = lead
        self.body: list[str] = []
        self.headings: list[str] = []

    def section(self, heading: str, text: str = "") -> "Page":
        """A heading, and paragraphs (an empty line in `text` starts the next one)."""
        self.headings.append(heading)
        closing = "</section>" if len(self.headings) > 1 else ""
        self.body.append(
            f'{closing}<section id="s{len(self.headings)}"><h2>{html.escape(heading)}</h2>{paragraphs(text)}'
        )
        return self

    def picture(self, png: bytes, caption: str = "", alt: str = "") -> "Page":
        """A PNG with its caption; `alt` says the same to someone who cannot see it."""
        width, height = png_size(png)
        kind = "picture wide" if width > WIDE * height else "picture"
        image = inline(png, alt or caption)
        self.body.append(
            f'<figure class="{kind}"><div class="scroll">{image}</div>{figcaption(caption)}</figure>'
        )
        return self

    def pictures(self, pngs: Sequence[tuple[bytes, str]], caption: str = "") -> "Page":
        """Several small PNGs side by side, each with its own caption, and one caption for all."""
        cards = [f"<div>{inline(png, words)}<p>{html.escape(words)}</p></div>" for png, words in pngs]
        self.body.append(f'<figure><div class="sheet">{"".join(cards)}</div>{figcaption(caption)}</figure>')
        return self

    def drawing(self, markup: str, caption: str = "") -> "Page":
        """Markup made by this package, such as `draw_curves` returns. It is not escaped: never pass a user's text."""
        self.body.append(f"<figure>{markup}{figcaption(caption)}</figure>")
        return self

    def table(self, rows: Sequence[Sequence[object]], columns: Sequence[str], caption: str = "") -> "Page":
        """One row per entry, cells in the order of `columns`; columns of numbers are set flush right."""
        for row in rows:
            if len(row) != len(columns):
                raise ValueError(f"a row has {len(row)} cells, the table has {len(columns)} columns")
        numeric = [is_numeric([row[i] for row in rows]) for i in range(len(columns))]
        head = "".join(cell("th", name, right) for name, right in zip(columns, numeric, strict=True))
        lines = [
            "".join(cell("td", written(value), right) for value, right in zip(row, numeric, strict=True))
            for row in rows
        ]
        below = f"<caption>{html.escape(caption)}</caption>" if caption else ""
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        table = f"<table>{below}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        self.body.append(f'<figure class="scroll">{table}</figure>')
        return self

    def figures(self, numbers: Mapping[str, object]) -> "Page":
        """Key numbers as tiles: what it is, and how much."""
        tiles = [
            f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(written(v))}</dd></div>"
            for k, v in numbers.items()
        ]
        self.body.append(f'<dl class="tiles">{"".join(tiles)}</dl>')
        return self

    def html(self) -> str:
        """The whole document."""
        style = files("simcrop.figures").joinpath("style.css").read_text("utf-8")
        title = html.escape(self.title)
        lead = f'<p class="lead">{html.escape(self.lead)}</p>' if self.lead else ""
        end = "</section>" if self.headings else ""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>\n{style}</style></head>\n"
            f"<body><main><header><h1>{title}</h1>{lead}{self.links()}</header>\n"
        ) + "\n".join([*self.body, f"{end}</main></body></html>\n"])

    def links(self) -> str:
        """Where to jump to, once there are sections enough to get lost in."""
        if len(self.headings) < FEWEST_LINKS:
            return ""
        links = [f'<a href="#s{n}">{html.escape(heading)}</a>' for n, heading in enumerate(self.headings, 1)]
        return f"<nav>{''.join(links)}</nav>"

    def write(self, path: Path) -> None:
        """Whole or not at all: a reader never meets half a page, and a failure leaves the old one."""
        write_whole(path, self.html().encode())


def inline(png: bytes, alt: str) -> str:
    """An image whose bytes are part of the page."""
    width, height = png_size(png)
    source = f"data:image/png;base64,{b64encode(png).decode('ascii')}"
    return f'<img src="{source}" width="{width}" height="{height}" alt="{html.escape(alt)}">'


def paragraphs(text: str) -> str:
    return "".join(f"<p>{html.escape(part.strip())}</p>" for part in text.split("\n\n") if part.strip())


def figcaption(caption: str) -> str:
    return f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""


def cell(tag: str, text: str, right: bool) -> str:
    kind = ' class="number"' if right else ""
    return f"<{tag}{kind}>{html.escape(text)}</{tag}>"


def is_numeric(values: Sequence[object]) -> bool:
    """All are numbers or absent, and at least one is a number."""
    kinds = [isinstance(v, Real) and not isinstance(v, bool) for v in values if v is not None]
    return bool(kinds) and all(kinds)


def written(value: object) -> str:
    """A value as a reader wants it: four digits or all whole ones, thin spaces between thousands, a real minus, a dash
    for nothing.
    """
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}".replace(",", "\u202f").replace("-", "−")
    if isinstance(value, Real):
        return of_four_digits(float(value)).replace("-", "−")
    return str(value)


def of_four_digits(value: float) -> str:
    """From a thousand on whole, as long as a reader can count its digits."""
    short = f"{value:.4g}"
    if 1000 <= abs(float(short)) < TOO_LONG:
        return f"{value:,.0f}".replace(",", "\u202f")
    return short


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height from the header, so that the page does not jump while it loads."""
    if not png.startswith(PNG_MAGIC):
        raise ValueError("a picture of a page must be a PNG")
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
