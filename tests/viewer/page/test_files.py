"""The files of the viewer's page: short, without anything from elsewhere, nothing that a strict content policy forbids.

No axes or units.
"""

import json
import re
from pathlib import Path

import pytest
from tests.viewer.page.conftest import PAGE

TOOLS = Path(__file__).parents[3] / "viewer-page"
OWN = sorted(path for path in PAGE.iterdir() if not path.name.startswith("niivue."))


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_file_is_short_and_names_no_other_host(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 300
    if path.suffix == ".js":
        assert max(map(len, lines)) <= 120
        assert lines[0].startswith("// "), "its first line says what it is"
    hosts = set(re.findall(r"https?://([^/\"'`]+)", path.read_text()))
    assert hosts <= {"www.w3.org"}, "only the name of SVG"


def test_the_page_has_nothing_inline() -> None:
    page = (PAGE / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []


def test_everything_the_page_loads_is_there() -> None:
    named = set(re.findall(r"/page/([\w.]+)", (PAGE / "index.html").read_text()))
    for path in OWN:
        if path.suffix == ".js":
            named |= set(re.findall(r'from "\./([\w.]+)"', path.read_text()))
    assert {path.name for path in OWN} | {"niivue.js"} == named | {"index.html"}


def test_versions_are_pinned_and_the_lock_names_no_registry() -> None:
    wanted = json.loads((TOOLS / "package.json").read_text())["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    packages = json.loads((TOOLS / "package-lock.json").read_text())["packages"]
    assert all("integrity" in one for name, one in packages.items() if name)
    assert not any("resolved" in one for one in packages.values())
