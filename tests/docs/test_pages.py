"""Every command line shown in the docs and the README exists; the guide for own scans names every reason and column.

No axes or units. `docs/*.md` and `README.md` are the input.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from simcrop.cli.app import UsageProblem, app
from simcrop.config import recipe_names
from simcrop.data.ingest.pseudonyms import REASONS
from simcrop.data.layouts import LAYOUTS, report_rows
from simcrop.data.readers.find import SUFFIXES
from simcrop.data.readers.reasons import MASK_REASONS, SCAN_REASONS
from simcrop.data.readers.slices import PICTURES
from simcrop.data.store.format import COHORT, LEDGER, MASKS, SOURCE_MASKS, STUDIES
from simcrop.tasks.folder import METRICS
from simcrop.tasks.segmentation.predict_page import VOLUMES

REPOSITORY = Path(__file__).parents[2]
GUIDE = REPOSITORY / "docs" / "own-scans.md"
PAGES = [*sorted((REPOSITORY / "docs").rglob("*.md")), *sorted(REPOSITORY.glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words after `simcrop` of every whole command in a fenced block that is not Python."""
    for block in FENCE.finditer(page.read_text(encoding="utf-8")):
        if block[1] == "python":
            continue
        for line in block[2].replace("\\\n", " ").splitlines():
            if "simcrop" not in line:
                continue
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words and Path(words[0]).name == "simcrop":
                yield words[1:]
            elif "-m" in words and words[words.index("-m") + 1] == "simcrop":
                yield words[words.index("-m") + 2 :]


def inline_mentions(page: Path) -> Iterator[list[str]]:
    """The words after `simcrop` of every code span in running prose, which need not be whole commands."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for span in re.findall(r"`simcrop ([^`]+)`", prose):
        yield shlex.split(span)


def find_verb(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the leading words name, and what is left of the line."""
    command: Any = typer.main.get_command(app)
    rest = [word for word in words if word != "--debug"]
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"simcrop has no verb {' '.join(words)!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def options_of(command: Any) -> set[str]:
    return {"--help", *(name for parameter in command.params for name in parameter.opts)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_parses(page: Path) -> None:
    for words in command_lines(page):
        command, rest = find_verb(words)
        if "--help" not in rest and "--version" not in rest:
            command.make_context(command.name, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_named_in_prose_exists(page: Path) -> None:
    for words in inline_mentions(page):
        command, rest = find_verb(words)
        unknown = {word.split("=")[0] for word in rest if word.startswith("--")} - options_of(command)
        assert not unknown, f"{page.name}: `simcrop {' '.join(words)}` has no {unknown}"


def test_a_wrong_command_line_would_be_found() -> None:
    def parse(line: str) -> None:
        command, rest = find_verb(shlex.split(line))
        command.make_context(command.name, rest)

    parse("ingest raw --out cohort --workers 2")
    with pytest.raises(UsageProblem, match=r"[Mm]issing"):
        parse("ingest raw")
    with pytest.raises(UsageProblem, match=r"No such option"):
        parse("ingest raw --out cohort --worker 2")
    with pytest.raises(AssertionError, match="no verb"):
        parse("recipe print simcrop-tiny")


def test_guide_for_own_scans_shows_the_whole_line() -> None:
    shown = {words[0] for words in command_lines(GUIDE)}
    assert {"ingest", "pretrain", "embed", "probe", "ground"} <= shown


def test_guide_for_own_scans_has_a_row_for_every_layout() -> None:
    table = GUIDE.read_text(encoding="utf-8").partition("| `--layout` |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`([^`]+)`", row)) == sorted(LAYOUTS)


def test_the_first_page_leads_to_every_page() -> None:
    docs = REPOSITORY / "docs"
    text = (docs / "index.md").read_text(encoding="utf-8")
    linked = {(docs / link.partition("#")[0]).resolve() for link in re.findall(r"\]\(([^):]+)\)", text)}
    pains = {
        page for page in docs.rglob("pains/*.md") if page.name != "index.md"
    }  # which their own index lists
    assert sorted({page for page in PAGES if docs in page.parents} - linked - pains) == [docs / "index.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_recipe_named_is_shipped(page: Path) -> None:
    named = re.findall(
        r"\b(?:simcrop|mae|m3ae|mrm|m3d|fvlm|ct-clip|supervised|supervised-cnn|dino|labels-first)"
        r"-(?:plus-tiny|plus|paper|tiny)\b",
        page.read_text(),
    )
    assert set(named) <= set(recipe_names())


def test_guide_for_own_scans_names_every_reason_format_column_and_file() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| its ")]
    listed = [code for row in rows for code in re.findall(r"`([^`]+)`", row)]
    assert sorted(listed) == sorted(SCAN_REASONS | MASK_REASONS)
    others = text.partition("Beside these, ")[2].partition("\n\n")[0]
    codes = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", others))
    assert "not-text" in codes
    assert codes <= REASONS.keys(), "a ledger of pseudonyms says what each means"
    columns = (
        *report_rows.KEYS,
        *report_rows.FINDINGS,
        *report_rows.IMPRESSION,
        "patient",
        "split",
        "label:NAME",
    )
    stored = (COHORT, LEDGER, STUDIES, METRICS, f"{MASKS}/*.b2nd", f"{SOURCE_MASKS}/*.b2nd")
    files = (*stored, VOLUMES, "predictions.parquet", "ID.nii.gz", "ID.seg.dcm", "ID.json")
    for name in (*SUFFIXES, *PICTURES, *columns, "mask_path", *files):
        assert f"`{name}`" in text


def test_python_of_the_guide_runs_beside_a_cohort(toy_cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy_cohort.parent)
    (code,) = [block[2] for block in FENCE.finditer(GUIDE.read_text()) if block[1] == "python"]
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["refused"].columns == ["id", "reason", "sentence"]
    assert names["ledger"].height >= 6
