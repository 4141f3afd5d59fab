"""A page per verb, made of the command line itself: usage, arguments, options, and the pages that show it.

No axes or units.
"""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import typer.main

from simcrop.cli.app import app

DOCS = Path(__file__).parents[1] / "docs"


def verb_pages() -> dict[str, str]:
    """Name of a page -> its Markdown; `index.md` lists all."""
    found = dict(commands(typer.main.get_command(app), ""))
    rows = [f"| [`{verb}`]({file_of(verb)}) | {summary(command)} |" for verb, command in found.items()]
    head = (
        "# Verbs\n\n`simcrop VERB ... --out DIR`. Exit codes: 0 done; 1 done, but some inputs were refused; 2 wrong\n"
        "usage or unusable input, in one line; 130 interrupted. `--debug` shows where an error came from.\n"
        "These pages are what `simcrop VERB --help` says, and where each verb is told about.\n\n"
        "| verb | does |\n|---|---|\n"
    )
    texts = {
        str(path.relative_to(DOCS)): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))
    }
    pages = {file_of(verb): page(verb, command, texts) for verb, command in found.items()}
    return {"index.md": head + "\n".join(rows) + "\n", **pages}


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command below, in the order in which `--help` lists them."""
    for word, below in getattr(command, "commands", {}).items():
        full = f"{name} {word}".strip()
        if hasattr(below, "commands"):
            yield from commands(below, full)
        else:
            yield full, below


def file_of(verb: str) -> str:
    return f"{verb.replace(' ', '-')}.md"


def summary(command: Any) -> str:
    return cell(" ".join((command.help or "").split()))


def page(verb: str, command: Any, texts: dict[str, str]) -> str:
    """What the parser knows of a verb, then what the other pages show of it."""
    context = command.make_context(f"simcrop {verb}", [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context)).replace("{", "").replace("}", "")
    parts = [f"# {verb}", summary(command), f"```\nsimcrop {verb} {usage}\n```"]
    for kind in ("argument", "option"):
        records = [one.get_help_record(context) for one in command.params if one.param_type_name == kind]
        rows = [f"| {called(words)} | {meaning(said)} |" for words, said in filter(None, records)]
        if rows:
            parts.append("\n".join([f"| {kind} | meaning |", "|---|---|", *rows]))
    if shown := list(examples(verb, texts)):
        rows = [f"- [{title}](../{name}): `{line}`" for name, title, line in shown]
        parts.append("\n".join(["## Where it is told about", "", *rows]))
    return "\n\n".join(parts) + "\n"


def called(words: str) -> str:
    """`--out <path>` as code, `--verify / --no-verify` as two. A bar in a code span of a table needs an entity."""
    words = words.replace("list[str]", "str")
    return " / ".join(f"<code>{escape(part).replace('|', '&#124;')}</code>" for part in words.split(" / "))


def meaning(said: str) -> str:
    """The help of an argument, and what counts where it is not given."""
    text, _, bracket = said.rstrip("]").rpartition("[")
    if not bracket.startswith(("required", "default: ")):
        return cell(said)
    fallback = (
        "Must be given." if bracket == "required" else f"By default `{bracket.removeprefix('default: ')}`."
    )
    return cell(" ".join([*text.split(), fallback]))


def examples(verb: str, texts: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Of each page that shows the verb: its file, its title, and the first line."""
    line = re.compile(rf"^\$? ?simcrop {re.escape(verb)}(?= |$)[^\n#|]*", re.MULTILINE)
    for name, text in texts.items():
        if found := line.search(text):
            title = text.partition("\n")[0].removeprefix("# ")
            yield name, title, found[0].removeprefix("$ ").strip(" \\")


def cell(text: str) -> str:
    """Text that a table's cell can hold."""
    return text.replace("|", "\\|")
