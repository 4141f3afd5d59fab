"""The walkthrough runs as one script, every value it shows is true, and its losses are those of the objective.

No axes or units. `docs/walkthrough.md` is the input.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from simcrop.config import load_recipe
from simcrop.nn.masking import visible_count
from simcrop.objectives.simcrop import SimCroPSettings

WALKTHROUGH = Path(__file__).parents[2] / "docs" / "walkthrough.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """An expression of the page and the value that stands behind its `#`."""

    line: int
    expression: str
    value: Any


def python_blocks() -> Iterator[tuple[int, str]]:
    """Line before the code, and the code."""
    text = WALKTHROUGH.read_text(encoding="utf-8")
    for block in FENCE.finditer(text):
        if block[1] == "python":
            yield text.count("\n", 0, block.start()) + 1, block[2]


def shown_values(code: str, offset: int) -> dict[int, Shown]:
    """Per line number of the code: what it claims."""
    claims = {}
    for number, line in enumerate(code.splitlines(), start=1):
        expression, mark, value = line.partition("  # ")
        if mark:
            claims[number] = Shown(offset + number, expression, ast.literal_eval(value))
    return claims


def run_block(code: str, offset: int, names: dict[str, Any]) -> list[Shown]:
    """Run statement by statement, and compare each bare expression with its comment; the claims that were checked."""
    claims, checked = shown_values(code, offset), []
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Expr) and statement.lineno in claims:
            claim = claims[statement.lineno]
            found = eval(claim.expression, names)
            found = tuple(found) if isinstance(found, tuple) else found
            assert found == claim.value, f"line {claim.line}: {claim.expression} is {found!r}"
            checked.append(claim)
        else:
            # Line numbers of the page, for a traceback that can be followed.
            exec(
                compile(ast.Module([ast.increment_lineno(statement, offset)], []), WALKTHROUGH, "exec"), names
            )
    assert len(checked) == len(claims), f"a comment of the block at line {offset} is not behind an expression"
    return checked


def test_walkthrough_runs_and_every_shown_value_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = [run_block(code, offset, names) for offset, code in python_blocks()]
    assert len(blocks) >= 9
    assert all(blocks), "every block shows at least one value"
    assert last_column() == sizes_on_this_page(names)
    the_objective_agrees(names)


def last_column() -> list[str]:
    """Cells of the table under `on this page`, from the patches on: those above are checked beside their code."""
    table = [line for line in WALKTHROUGH.read_text().splitlines() if line.startswith("|")]
    return [line.rstrip(" |").rpartition(" | ")[2] for line in table[5:]]


def sizes_on_this_page(names: dict[str, Any]) -> list[str]:
    """What these cells must say, by the values that the page computed."""

    def sizes(name: str) -> str:
        return " ".join(map(str, names[name].shape))

    grid, k = names["grid"], names["recipe"].align.top_k
    sides = [" x ".join(map(str, lengths)) for lengths in (grid.shape, grid.patch)]
    return [
        f"`{sizes('patches')}`: {sides[0]} patches of {sides[1]}",
        f"`{' '.join(map(str, names['features'].patches.shape))}`",
        f"`{sizes('reconstruction')}` to a scalar",
        f"`{sizes('sentence_features')}`, K = {k}",
        f"`{sizes('decoded')}`",
        f"`m {names['predicted'].shape[1]}` to a scalar",
    ]


def the_objective_agrees(names: dict[str, Any]) -> None:
    """The page's three losses are those of `SimCroP.forward` with the same parts, batch and random draws."""
    import torch

    from simcrop.data.samples.batch import Batch, Sentences
    from simcrop.objectives.simcrop import SimCroP

    whole = SimCroP(names["recipe"], names["grid"], names["text"], names["tokenizer"])
    whole.vision = names["encoder"]
    for part in ("vision_decoder", "projection", "fusion", "report_decoder", "mlm_head"):
        setattr(whole, part, names[part])
    image_index = names["image_index"]
    count = len(image_index)
    sentences = Sentences(image_index, torch.arange(count), torch.zeros(count), names["sentence_features"])
    ids = tuple(study.id for study in names["studies"])
    shown, report = names["shown"], names["whole"]
    at = shown.masked.flatten().nonzero()[:, 0]
    drawn = {"patches": names["noise"], "masked_at": at, "masked_ids": report.ids.flatten()[at]}
    terms = whole(Batch(ids, names["x"], replace(report, ids=shown.ids), sentences, drawn=drawn))

    assert set(whole.terms) == set(terms) == {"volume", "align", "report"}
    for term, value in terms.items():
        assert value.item() == pytest.approx(names[f"{term}_loss"].item(), rel=1e-5)
    total = torch.stack([whole.terms[term].weight * value for term, value in terms.items()]).sum()
    assert total.item() == pytest.approx(names["loss"].item(), rel=1e-5)


def test_table_of_the_walkthrough_states_the_sizes_of_the_paper_recipe() -> None:
    recipe = load_recipe("simcrop-paper")
    assert isinstance(recipe, SimCroPSettings)
    grid, dim = recipe.input.grid, recipe.vision.dim
    sides = [" x ".join(map(str, lengths)) for lengths in (grid.shape, grid.patch)]
    rows = "\n".join(line for line in WALKTHROUGH.read_text().splitlines() if line.startswith("|"))
    for cell in (
        f"| {' x '.join(map(str, recipe.input.spacing_mm))} mm",
        f"`b 1 {' '.join(map(str, recipe.input.shape))}`",
        f"`b {grid.count} {grid.voxels}`: {sides[0]} patches of {sides[1]}",
        f"`b {visible_count(grid.count, recipe.mim.mask_ratio)} {dim}`",
        f"`b {grid.count} {grid.voxels}` to a scalar",
        f"K = {recipe.align.top_k} |",
        f"`b t {recipe.report_decoder.dim}`, t at most {recipe.text.report_length}",
    ):
        assert cell in rows
