"""Links: do they lead somewhere, in the built site and in Markdown as a repository shows it; and what a page would load
from another host.

No axes or units. Addresses of other hosts are looked at for their form alone, never asked for.
"""

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes that make a browser fetch something as it shows a page.
FETCHED = {
    **dict.fromkeys(("script", "iframe", "audio", "embed", "input"), ("src",)),
    **dict.fromkeys(("img", "source"), ("src", "srcset")),
    **dict.fromkeys(("link", "image"), ("href",)),
    "video": ("src", "poster"),
    "object": ("data",),
}
ONLY_SAID = {
    "canonical",
    "alternate",
    "next",
    "prev",
    "license",
    "author",
}  # links whose address is not fetched
CSS_LOAD = re.compile(r"(?:url\(|@import\s+)\s*[\"']?\s*((?:https?:)?//[^\"')\s]+)", re.IGNORECASE)
JS_LOAD = re.compile(r"[\"'`]((?:https?:|wss?:)?//[a-z0-9-]+(?:\.[a-z0-9-]+)+[^\"'`\s]*)", re.IGNORECASE)
NAMES_ONLY = ("http://www.w3.org/",)  # name spaces, which nobody fetches
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MARKDOWN_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


class Seen(HTMLParser):
    """What a page links to, what it fetches, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.anchors |= {named[key] for key in ("id", "name") if key in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if tag == "link" and set(named.get("rel", "").split()) <= ONLY_SAID:
            return
        self.fetched += [named[key] for key in FETCHED.get(tag, ()) if named.get(key)]
        self.fetched += CSS_LOAD.findall(named.get("style", ""))


@cache
def seen(page: Path) -> Seen:
    parser = Seen()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def broken_links(site: Path) -> Iterator[str]:
    """Links and loads within the site that lead nowhere, and addresses of other hosts without a sound form."""
    for page in sorted(site.rglob("*.html")):
        for link in dict.fromkeys([*seen(page).links, *seen(page).fetched]):
            parts = urlsplit(link)
            if parts.scheme in {"http", "https"} or parts.netloc:
                if not sound(link):
                    yield f"{page.relative_to(site)}: {link} is no address"
            elif parts.scheme not in {"", "data", "mailto"}:
                yield f"{page.relative_to(site)}: {link} has an odd scheme"
            elif (
                not parts.scheme
                and page.name != "404.html"
                and not leads(page, unquote(parts.path), parts.fragment)
            ):
                yield f"{page.relative_to(site)}: {link} leads nowhere"


def leads(page: Path, path: str, fragment: str) -> bool:
    """Is there such a file, and such a place in it?"""
    target = (page.parent / path).resolve() if path else page
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return False
    return not fragment or target.suffix != ".html" or unquote(fragment) in {*seen(target).anchors, "__skip"}


def sound(address: str) -> bool:
    """A host with a dot, and no blanks."""
    parts = urlsplit(address)
    return (
        parts.scheme in {"http", "https"} and "." in (parts.hostname or "") and not re.search(r"\s", address)
    )


def foreign_loads(site: Path) -> Iterator[str]:
    """What a browser would fetch from another host as it shows the site."""
    for page in sorted(site.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        within = [*re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL)]
        loads = [*seen(page).fetched, *(found for css in within for found in CSS_LOAD.findall(css))]
        loads += [
            found
            for code in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
            for found in js_loads(code)
        ]
        yield from (f"{page.relative_to(site)} loads {load}" for load in loads if urlsplit(load).netloc)
    for kind, look in (("*.css", CSS_LOAD.findall), ("*.js", js_loads)):
        for path in sorted(site.rglob(kind)):
            found = look(path.read_text(encoding="utf-8"))
            yield from (f"{path.relative_to(site)} loads {load}" for load in found)


def js_loads(code: str) -> list[str]:
    """Addresses of other hosts that stand in a script, but for name spaces."""
    return [found for found in JS_LOAD.findall(code) if not found.startswith(NAMES_ONLY)]


def broken_in_markdown(page: Path) -> Iterator[str]:
    """Links of a Markdown file that lead nowhere, as a repository's own page shows it."""
    for link in MARKDOWN_LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        parts = urlsplit(link)
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if parts.scheme or parts.netloc:
            if not sound(link):
                yield f"{page.name}: {link} is no address"
        elif not target.exists():
            yield f"{page.name}: {link} leads nowhere"
        elif parts.fragment and target.suffix == ".md" and parts.fragment not in anchors_of(target):
            yield f"{page.name}: {link}: no such heading"


def anchors_of(page: Path) -> set[str]:
    """Anchors that a repository's page gives the headings of a Markdown file."""
    found: set[str] = set()
    for line in FENCE.sub("", page.read_text(encoding="utf-8")).splitlines():
        if heading := re.match(r"#{1,6} (.*)", line):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "")
            plain = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            number = sum(1 for one in found if one == plain or re.fullmatch(re.escape(plain) + r"-\d+", one))
            found.add(f"{plain}-{number}" if number else plain)
    return found
