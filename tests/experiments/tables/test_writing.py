"""Tables as they are written: marks, reasons, the paper apart, sentences from results, the same bytes each time."""

import csv
import json
from typing import Any

import numpy as np
import pytest

from simcrop.experiments.tables.columns import COLUMNS
from simcrop.experiments.tables.rows import ROWS, row_of
from simcrop.experiments.tables.writing import write_table

SEEDS = (0, 1, 2, 3)
SUFFIXES = ("md", "csv", "json", "html")


def written(
    world: Any, name: str, keys: tuple[str, ...], missing: dict[str, str] | None = None
) -> dict[str, Any]:
    rows = [row_of(key, ROWS[name]) for key in keys]
    return write_table(name, rows, COLUMNS[name], SEEDS, world.places, missing or {}, {})


def read(world: Any, name: str, suffix: str = "md") -> str:
    return world.places.table(name, suffix).read_text()


def probe_all(world: Any, dataset: str, skills: dict[str, float], *shares: float) -> None:
    for row, skill in skills.items():
        for seed in SEEDS:
            world.probe(row, seed, dataset, {share: world.scores(skill * share, seed) for share in shares})


def test_table_has_ours_the_papers_and_why_cells_are_empty(world: Any) -> None:
    probe_all(world, "ct-rate", {"mae": 1.0, "simcrop": 2.5, "simcrop-plus": 7.0}, 0.01, 0.1, 1.0)
    for row, steps in (("mae", 5), ("simcrop", 5), ("simcrop-plus", 5)):
        world.run(row, 0, steps)
    gone = {"btcv": "not asked", "luna16": "no cohort; it is to be had from X"}
    found = written(world, "table1", ("random", "mae", "simcrop", "simcrop-plus"), gone)
    by_cell = {(of["row"], of["column"]): of for of in found["cells"]}
    assert len(by_cell) == 4 * 10
    best, ours = by_cell["simcrop-plus", "ct-rate-100"], by_cell["simcrop", "ct-rate-100"]
    assert (best["mark"], best["paper"], best["difference"]) == ("best", None, None)
    assert (ours["mark"], ours["paper"], ours["place"]) == ("second", 82.9, 2)
    assert ours["difference"] == pytest.approx(ours["value"] - 82.9)
    assert by_cell["mae", "luna16-10"]["reason"] == gone["luna16"]
    assert by_cell["random", "ct-rate-1"]["reason"] == "not yet run"

    text = read(world, "table1")
    assert f"| **{best['value']:.1f}** [" in text
    assert f"<u>{ours['value']:.1f}</u> [" in text
    assert "Empty or incomplete: LUNA16 10 %, LUNA16 100 %: no cohort; it is to be had from X." in text
    assert "Every trained row saw 20 scans, with repetition." in text
    assert "CT-RATE 100 %: SimCroP does not win; SimCroP + cross-image term is first, " in text
    assert "among the paper's methods 1 of 2, " in text
    assert "Why a column may be lost." in text
    assert "synthetic data" in text
    assert found["columns"][0]["split_hash"][:12] in text
    page = read(world, "table1", "html")
    assert f'<td class="apart"><span>{by_cell["mae", "ct-rate-1"]["value"]:.1f}</span>' in page
    assert f'<td class="best"><span>{best["value"]:.1f}</span>' in page
    assert '<td class="paper"><span>82.9</span>' in page
    assert page.count("<h2>") == 4 + 5
    lines = list(csv.DictReader(read(world, "table1", "csv").splitlines()))
    assert {(of["row"], of["column"]) for of in lines} == set(by_cell)


def test_differences_from_a_random_start_are_paired_and_marked_on_either_side(world: Any) -> None:
    probe_all(world, "ct-rate", {"random": 1.5, "mae": 0.0, "simcrop": 7.0, "m3ae": 1.5}, 1.0)
    found = written(world, "table1", ("random", "mae", "m3ae", "simcrop"))
    over = {of["row"]: of for of in found["over_random"]}
    assert set(over) == {"mae", "m3ae", "simcrop"}
    by_row = {of["row"]: of["value"] for of in found["cells"] if of["column"] == "ct-rate-100"}
    assert over["mae"]["value"] == pytest.approx(by_row["mae"] - by_row["random"])
    assert (over["m3ae"]["low"], over["m3ae"]["high"]) == (0, 0)
    assert over["mae"]["high"] < 0 < over["simcrop"]["low"]
    text = read(world, "table1").split("## Ours less the random start")[1].split("##")[0]
    lines = {line.split(" | ")[0]: line for line in text.splitlines()}
    assert "| +0.0 [–] |" in lines["| M3AE"]
    assert f"**+{over['simcrop']['value']:.1f}** [" in lines["| SimCroP"]
    assert "**−" in lines["| MAE"]
    assert "| Random init" not in lines
    assert "Ours less the random start</h2>" in read(world, "table1", "html")
    written(world, "table1", ("mae", "simcrop"))
    assert "less the random start" not in read(world, "table1")


def test_nothing_measured_is_a_table_of_reasons(world: Any) -> None:
    world.places.out.mkdir()
    found = written(world, "table2", ("random", "simcrop"), {"luna16": "gone", "btcv": "gone"})
    assert {of["value"] for of in found["cells"]} == {None}
    assert found["texts"]["found"] == []
    assert "Empty or incomplete: LUNA16 Dice 10 %, LUNA16 Dice 100 %, BTCV Dice 100 %: gone." in read(
        world, "table2"
    )


def test_parts_are_checks_and_the_note_says_what_is_open(world: Any) -> None:
    probe_all(world, "rad-chestct", {"il": 2.0, "simcrop": 5.0}, 0.1)
    dice = np.full((8, 2), 0.9)
    for key in ("il", "simcrop"):
        for seed in SEEDS:
            world.segment(key, seed, "luna16", 0.1, dice)
    written(world, "table3", tuple(row.key for row in ROWS["table3"]))
    text = read(world, "table3")
    assert "| SA + IL | ✓ | ✓ | × | – | – | 73.3 | 92.8 | – | – |" in text
    assert "| IL | × | ✓ | × | " in text
    assert "What the paper leaves open." in text
    assert "docs/results/extension.md" in text
    assert "LUNA16 Dice 10 %: SimCroP is first, level with IL." in text


def test_same_folders_give_the_same_bytes(world: Any) -> None:
    probe_all(world, "rad-chestct", {"il": 1.0, "simcrop": 3.0}, 0.1)
    keys = ("il", "simcrop")
    written(world, "table3", keys)
    before = [world.places.table("table3", suffix).read_bytes() for suffix in SUFFIXES]
    written(world, "table3", keys)
    assert [world.places.table("table3", suffix).read_bytes() for suffix in SUFFIXES] == before


def test_labels_of_a_transfer_are_dots_and_lines_of_a_csv(world: Any) -> None:
    for row, skill in (("random", 0.1), ("simcrop", 3.0)):
        for seed in SEEDS:
            folder = world.places.transfer(row, seed)
            world.write(folder, {1.0: world.scores(skill, seed)[None]}, [0])
    found = written(world, "fig2", ("random", "mae", "simcrop"))
    assert set(found["labels"]) == set(world.names)
    lines = list(csv.DictReader(read(world, "fig2", "csv").splitlines()))
    assert len(lines) == (1 + 3) * 2
    ours = {of["label"]: float(of["value"]) for of in lines if of["row"] == "simcrop"}
    assert ours.pop("mean over labels") == pytest.approx(np.mean(list(ours.values())), abs=1e-3)
    assert read(world, "fig2", "html").count("<svg") == 4
    assert "without readable numbers" in read(world, "fig2")


def test_curves_run_over_k_and_over_hidden_words(world: Any) -> None:
    skills = {row.key: 1.0 for row in ROWS["fig3"]} | {"simcrop": 2.0}
    probe_all(world, "rad-chestct", skills, 0.1)
    found = written(world, "fig3", tuple(skills))
    assert [of["at"] for of in found["curves"]["top_k"]] == [16, 32, 64, 128, 256]
    assert [of["at"] for of in found["curves"]["hidden"]] == [0.15, 0.3, 0.5, 0.75, 0.9]
    both = [of["value"] for curve in found["curves"].values() for of in curve if of["row"] == "simcrop"]
    assert both[0] == both[1]
    page = read(world, "fig3", "html")
    assert page.count("the paper&#x27;s choice") + page.count("the paper's choice") == 2
    assert f"{both[0]:.1f} there" in page


def test_command_machine_and_real_cohorts_are_named(world: Any) -> None:
    world.places.out.mkdir()
    run = {
        "verb": "reproduce",
        "command": [
            "/x/simcrop",
            "reproduce",
            "table1",
            "--out",
            "table1",
            "--slurm",
            "--seeds",
            "1",
            "--only",
            "mae/0",
        ],
        "settings": {"data": "d", "seeds": 4},
    }
    (world.places.out / "run.json").write_text(json.dumps(run))
    (world.places.out / "machines.json").write_text(json.dumps({"machines": ["2 cores of X"]}))
    written(world, "table2", ("simcrop",))
    text = read(world, "table2")
    command = "simcrop reproduce table2 --out table1 --seeds 4"
    assert f"Command: {command}. Machine: 2 cores of X. 4 seeds (0, 1, 2, 3)." in text
    assert "synthetic" not in text


def test_figure_of_heat_maps_without_a_model_says_so(world: Any) -> None:
    world.places.out.mkdir()
    assert written(world, "fig4", ("simcrop",))["shown"] == []
    assert "No picture: not yet run." in read(world, "fig4")
