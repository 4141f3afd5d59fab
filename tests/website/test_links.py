"""Links of the site and of the repository's own pages; and whether a page would load something from another host."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]
Script = Callable[[str], ModuleType]
PAGES = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    REPOSITORY / "benchmarks" / "README.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_of_a_page_in_the_repository_leads_somewhere(page: Path, script: Script) -> None:
    assert list(script("links").broken_in_markdown(page)) == []


def test_a_broken_link_in_markdown_is_seen(script: Script, tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Two words: `code`\n\n## Again\n\n## Again\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[1](b.md) [2](b.md#two-words-code) [3](b.md#again-1) [4](https://example.org/x)\n"
        "```\n[5](no.md)\n```\n[6](no.md) [7](b.md#three) [8](https://localhost) ![9](no.png)\n"
    )
    assert list(script("links").broken_in_markdown(page)) == [
        "a.md: no.md leads nowhere",
        "a.md: b.md#three: no such heading",
        "a.md: https://localhost is no address",
        "a.md: no.png leads nowhere",
    ]


def test_a_broken_link_in_the_site_is_seen(script: Script, tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<h2 id="here">b</h2>')
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">1</a> <a href="b.html#there">2</a> <a href="c.html">3</a> <img src="no.png">'
        '<a href="https://example.org">4</a> <a href="javascript:alert()">5</a> <a href="https:///x">6</a>'
    )
    assert list(script("links").broken_links(tmp_path)) == [
        "a.html: b.html#there leads nowhere",
        "a.html: c.html leads nowhere",
        "a.html: javascript:alert() has an odd scheme",
        "a.html: https:///x is no address",
        "a.html: no.png leads nowhere",
    ]


FOREIGN = {
    "a script": ("a.html", '<script src="https://cdn.example.org/a.js"></script>'),
    "a script without a scheme": ("a.html", '<script src="//cdn.example.org/a.js"></script>'),
    "a style sheet": ("a.html", '<link rel="stylesheet" href="https://fonts.example.org/css?family=Inter">'),
    "a connection made early": ("a.html", '<link rel="preconnect" href="https://fonts.example.org">'),
    "a picture": ("a.html", '<img src="https://example.org/a.png">'),
    "a frame": ("a.html", '<iframe src="https://example.org/"></iframe>'),
    "a style within": ("a.html", "<style>@import 'https://example.org/a.css';</style>"),
    "a style of one element": ("a.html", '<p style="background: url(https://example.org/a.png)">'),
    "a script within": ("a.html", '<script>fetch("https://example.org/stars")</script>'),
    "a font": ("a.css", '@font-face{src:url("https://example.org/a.woff2")}'),
    "an import": ("a.css", "@import url(//example.org/a.css);"),
    "what a script fetches": ("a.js", 'load("https://unpkg.example.org/mermaid@11/m.js")'),
    "a socket": ("a.js", "new WebSocket('wss://example.org/x')"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_load_from_another_host_is_seen(kind: str, script: Script, tmp_path: Path) -> None:
    name, text = FOREIGN[kind]
    (tmp_path / name).write_text(text)
    (found,) = script("links").foreign_loads(tmp_path)
    assert found.startswith(f"{name} loads ")


def test_links_and_names_of_name_spaces_are_no_loads(script: Script, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://example.org">x</a><link rel="canonical" href="https://example.org/a"><img src="a.png">'
        '<script>document.createElementNS("http://www.w3.org/2000/svg", "path")</script><p>https://example.org'
    )
    assert list(script("links").foreign_loads(tmp_path)) == []


def test_links_are_turned_to_where_pages_lie_in_the_site(script: Script, tmp_path: Path) -> None:
    pages = script("pages")
    source, path = REPOSITORY / "docs" / "results" / "demo.md", tmp_path / "results" / "demo.md"
    homes = {(REPOSITORY / "benchmarks/README.md").resolve(): tmp_path / "benchmarks.md"}
    text = "[b](../../benchmarks/README.md#x) ![p](a.png) [`c`](../../src/simcrop/__init__.py) [d](../../Makefile)"
    text += " [e](#here) [f](no.md)\n"
    fenced = "```\n[b](../../benchmarks/README.md)\n```\n"
    assert pages.relinked(text + fenced, source, path, homes) == (
        "[b](../benchmarks.md#x) ![p](a.png) `c` d (`Makefile`) [e](#here) [f](no.md)\n" + fenced
    )
