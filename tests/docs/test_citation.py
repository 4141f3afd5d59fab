"""`CITATION.cff` and `CHANGELOG.md` have the form that programs read, and name this version. No axes or units."""

import re
from pathlib import Path

import yaml

import simcrop

REPOSITORY = Path(__file__).parents[2]
# What the Citation File Format 1.2.0 requires, of a file and of what it prefers to be cited by.
REQUIRED = {"cff-version", "message", "title", "authors"}
REFERENCE = {"type", "title", "authors"}
SECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}  # of Keep a Changelog 1.1.0


def test_citation_has_what_its_format_requires_and_this_version_and_licence() -> None:
    said = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert set(said) >= REQUIRED
    assert (said["cff-version"], said["type"], said["license"]) == ("1.2.0", "software", "Apache-2.0")
    assert said["version"] == simcrop.__version__
    paper = said["preferred-citation"]
    assert set(paper) >= REFERENCE
    assert paper["type"] == "conference-paper"
    for person in [*said["authors"], *paper["authors"]]:
        assert set(person) in ({"name"}, {"family-names", "given-names"})
        assert all(isinstance(words, str) and words for words in person.values())


def test_versions_of_the_package_are_one() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{simcrop.__version__}"\n' in project


def test_changelog_keeps_its_form() -> None:
    lines = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    versions = [line for line in lines if line.startswith("## ")]
    assert versions[0] == "## [Unreleased]"
    assert all(re.fullmatch(r"## \[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", line) for line in versions[1:])
    assert {line.removeprefix("### ") for line in lines if line.startswith("### ")} <= SECTIONS
