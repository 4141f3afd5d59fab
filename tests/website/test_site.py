"""The site: it builds strictly, holds a page for each verb and each public name, and loads nothing from elsewhere."""

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

import simcrop
from simcrop.cli.app import app

REPOSITORY = Path(__file__).parents[2]
Script = Callable[[str], ModuleType]


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(site: Path, script: Script) -> None:
    links = script("links")
    assert list(links.broken_links(site)) == []
    assert list(links.foreign_loads(site)) == []
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    written = {path.relative_to(REPOSITORY / "docs") for path in (REPOSITORY / "docs").rglob("*.md")}
    assert {str(path.with_suffix(".html")) for path in written} <= pages
    assert {"verbs/ground.html", "verbs/recipe-list.html", "api/losses.html", "benchmarks.html"} <= pages
    assert (site / "search.json").is_file()
    assert (site / "heat-map.png").is_file()


def test_text_of_a_page_says_what_the_command_line_says(site: Path) -> None:
    page = (site / "verbs" / "ground.html").read_text(encoding="utf-8")
    assert "--top-k K|auto" in page.replace("&#124;", "|")
    assert "where a sentence is seen" in page.lower()


def in_nav(nav: Any) -> Iterator[str]:
    """Every page that the navigation names."""
    if isinstance(nav, str):
        yield nav
    for below in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from in_nav(below)


def test_navigation_leads_to_every_page_that_was_written() -> None:
    nav = set(in_nav(tomllib.loads((REPOSITORY / "zensical.toml").read_text())["project"]["nav"]))
    docs = REPOSITORY / "docs"
    assert {str(path.relative_to(docs)) for path in docs.rglob("*.md")} <= nav


def test_navigation_leads_to_every_page_that_was_made(site: Path) -> None:
    config = tomllib.loads((site.parent / "zensical.toml").read_text())
    pages = {str(path.relative_to(site.parent / "pages")) for path in (site.parent / "pages").rglob("*.md")}
    assert set(in_nav(config["project"]["nav"])) == pages


def test_every_verb_has_a_page_with_every_option(script: Script) -> None:
    verbs = script("verbs")
    pages = verbs.verb_pages()
    found = dict(verbs.commands(typer.main.get_command(app), ""))
    assert set(pages) == {"index.md", *map(verbs.file_of, found)}
    assert {"ingest", "ground", "recipe show", "weights import"} <= set(found)
    for name, command in found.items():
        text = pages[verbs.file_of(name)]
        for parameter in command.params:
            if parameter.name != "help":
                called = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
                assert (called or parameter.name) in text, f"{name} has no {parameter.name}"
    assert "../own-scans.md" in pages["ingest.md"]


def test_every_public_name_has_an_entry_with_its_docstring(script: Script) -> None:
    pages = script("api").api_pages()
    index = pages["index.md"]
    for name in {*simcrop.__all__} - {"losses"}:
        assert f"`simcrop.{name}`" in index, name
    for name in ("masked_patch_mse", "nearest_patches", "info_nce"):
        assert f"## simcrop.losses.{name}\n" in pages["losses.md"]
    assert "(Eq. 1)" in pages["losses.md"]
    assert "def open_cohort(path: str | Path) -> Cohort" in pages["scans.md"]
    assert "hu: np.ndarray" in pages["scans.md"]
    for name, text in pages.items():
        for title in re.findall(r"^## (simcrop\.\S+)$", text, re.MULTILINE):
            body = text.partition(f"## {title}\n")[2].partition("\n## ")[0].partition("```\n")[2].strip()
            assert body[:1] not in {"", "#"}, f"{name}: {title} has no docstring"


def test_a_name_that_is_not_there_is_an_error(script: Script) -> None:
    with pytest.raises(LookupError, match=r"simcrop\.data\.volume has no Volum"):
        script("api").definition("data.volume", "Volum")
