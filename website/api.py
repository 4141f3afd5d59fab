"""Pages of the public Python names, made of the source: signature, fields, docstring, methods.

No axes or units. Nothing is imported but the list of names, so that it takes no time.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import simcrop

SOURCE = Path(simcrop.__file__).parent
Definition = ast.ClassDef | ast.FunctionDef

PAGES = {
    "scans.md": (
        "Scans and cohorts",
        "read_volume Volume data.volume.HuDecision open_cohort Cohort Study data.preprocess.InputSpec "
        "data.preprocess.preprocess data.preprocess.Placement data.ingest.prepare data.report.sentences",
    ),
    "models.md": (
        "Models",
        "load Model model.Seen Heat PatchTokens Embeddings Refused encoder Encoder load_segmenter Segmenter "
        "Segmentation",
    ),
    "features.md": ("Features and errors", "cohort_features nearest SimcropError"),
    "losses.md": ("Losses", "losses"),
    "network.md": ("Positions and patches", "nn.position.sincos_3d nn.patch.PatchGrid"),
}


@dataclass(frozen=True)
class Found:
    """A class or function, the lines of its file, and the name that users import it by."""

    name: str
    node: Definition
    lines: list[str]


def api_pages() -> dict[str, str]:
    """Name of a page -> its Markdown; `index.md` lists all names."""
    rows, pages = [], {}
    for file, (title, names) in PAGES.items():
        found = [one for name in names.split() for one in all_of(name)]
        rows += [
            f"| [`{one.name}`]({file}#{anchor(one)}) | {first(one.node).replace('|', chr(92) + '|')} |"
            for one in found
        ]
        opening = "" if names != "losses" else f"{module_text('losses')}\n\n"
        pages[file] = f"# {title}\n\n{opening}" + "\n\n".join(map(entry, found)) + "\n"
    head = (
        "# Python\n\n`import simcrop` costs nothing: a name is loaded when it is first asked for. Names on these\n"
        "pages stay where they are; whatever is not here may move.\n\n| name | what it is |\n|---|---|\n"
    )
    return {"index.md": head + "\n".join(rows) + "\n", **pages}


def all_of(name: str) -> list[Found]:
    """What a public name stands for: itself, or every function and class that a folder hands on."""
    home = simcrop._HOMES.get(name)
    if name in simcrop._HOMES and home is None:
        handed = [node for node in parsed(path_of(name))[0].body if isinstance(node, ast.ImportFrom)]
        every = [alias.name for node in handed for alias in node.names]
        return [Found(f"simcrop.{name}.{each}", *definition(name, each)) for each in every]
    module, _, last = (f"{home}.{name}" if home else f"simcrop.{name}").rpartition(".")
    node, lines = definition(module.removeprefix("simcrop").removeprefix("."), last)
    return [Found(f"simcrop.{name}", node, lines)]


@cache
def parsed(path: Path) -> tuple[ast.Module, list[str]]:
    text = path.read_text(encoding="utf-8")
    return ast.parse(text), text.splitlines()


def path_of(module: str) -> Path:
    """The file of `data.volume`, or the `__init__.py` of a folder."""
    path = SOURCE / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def definition(module: str, name: str) -> tuple[Definition, list[str]]:
    """Where a name is defined, through the modules that hand it on."""
    tree, lines = parsed(path_of(module))
    for node in tree.body:
        if isinstance(node, Definition) and node.name == name:
            return node, lines
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return definition((node.module or "").removeprefix("simcrop."), name)
    raise LookupError(f"simcrop.{module} has no {name}")


def public(tree: ast.Module | ast.ClassDef) -> list[Definition]:
    return [one for one in tree.body if isinstance(one, Definition) and not one.name.startswith("_")]


def module_text(name: str) -> str:
    return ast.get_docstring(parsed(path_of(name))[0]) or ""


def first(node: Definition) -> str:
    """The first sentence of a docstring, or its first paragraph where that is one sentence."""
    paragraph = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[a-z`)]\.) (?=[A-Z`])", paragraph)[0]


def anchor(one: Found) -> str:
    return one.name.replace(".", "").lower()


def entry(one: Found) -> str:
    """One name as Markdown."""
    parts = [f"## {one.name}", code(one.name.rpartition(".")[2], one.node, one.lines)]
    parts.append(ast.get_docstring(one.node) or "")
    if isinstance(one.node, ast.ClassDef):
        for method in public(one.node):
            parts.append(f"### {method.name} {{#{anchor(one)}-{method.name}}}")
            parts.append(code(method.name, method, one.lines))
            parts.append(ast.get_docstring(method) or "")
    return "\n\n".join(part for part in parts if part)


def code(name: str, node: Definition, lines: list[str]) -> str:
    """A call's signature; of a class its fields as the source has them, with their comments."""
    if isinstance(node, ast.ClassDef):
        bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
        fields = [lines[i - 1] for one in node.body if isinstance(one, ast.AnnAssign) for i in span(one)]
        text = "\n".join([f"class {name}{bases}:", *(fields or ["    ..."])])
    else:
        marks = [f"@{ast.unparse(mark)}" for mark in node.decorator_list]
        marks = [mark for mark in marks if mark in {"@property", "@classmethod", "@staticmethod"}]
        text = "\n".join([*marks, signature(name, node)])
    return f"```python\n{text}\n```"


def span(node: ast.AnnAssign) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def signature(name: str, node: ast.FunctionDef) -> str:
    """On one line where it is short, else a line per argument."""
    back = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    inside = ast.unparse(node.args)
    if len(name) + len(inside) + len(back) < 90:
        return f"def {name}({inside}){back}"
    spread = re.sub(r", (?=[*a-z_0-9]+(?::|=|$|, ))", ",\n    ", inside)
    return f"def {name}(\n    {spread},\n){back}"
