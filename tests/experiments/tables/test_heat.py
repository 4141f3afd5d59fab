"""Fig. 4 on the straight line's phantoms: a sentence and a swapped one on the same scan, chosen before the model."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.asking import read_mask
from simcrop.experiments.tables import heat
from simcrop.experiments.tables.columns import FIG4_COLUMNS
from simcrop.experiments.tables.heat import choose, reason_of
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.rows import FIG4_ROWS
from simcrop.experiments.tables.writing import write_table
from simcrop.model import load
from simcrop.phantom.truth import read_truth

SHOWN = 2


@pytest.fixture(scope="module")
def places(line: Any, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Every second patient is held out."""
    places = Places(tmp_path_factory.mktemp("heat") / "out")
    cohort = places.cohort("ct-rate", "all")
    shutil.copytree(line.cohort, cohort)
    number = pl.col("patient").rank("dense") % 2
    table = pl.read_parquet(cohort / "studies.parquet")
    split = pl.when(number == 0).then(pl.lit("train")).otherwise(pl.lit("valid"))
    table.with_columns(split.alias("split")).write_parquet(cohort / "studies.parquet")
    for place, there in (
        (places.run("simcrop", 0), line.run),
        (places.raw("ct-rate", "all"), line.raw),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(there)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heat, "KINDS", SHOWN)
        write_table("fig4", FIG4_ROWS, FIG4_COLUMNS, (0,), places, {}, {})
    return places


def shown(places: Places) -> list[dict[str, Any]]:
    return json.loads(places.table("fig4", "json").read_text())["shown"]


def test_page_has_each_sentence_beside_a_swapped_one_and_says_how_they_were_chosen(places: Places) -> None:
    found, page = shown(places), places.table("fig4", "html").read_text()
    assert len({of["kind"] for of in found}) == len(found) == SHOWN
    assert page.count("<img") == 2 * SHOWN
    assert (
        page.count("Control, a swapped sentence on the same scan") == 2 * SHOWN
    )  # the words, and the picture's alt
    assert "drawn by seed 0 before the model was loaded" in page
    assert "synthetic data" in page
    pictures = sorted(path.name for path in (places.out / "fig4").iterdir())
    assert pictures == [f"simcrop-{n}-{what}.png" for n in (1, 2) for what in ("sentence", "swapped")]
    assert all(name in places.table("fig4", "md").read_text() for name in pictures)
    assert len(places.table("fig4", "csv").read_text().splitlines()) == 1 + SHOWN


def test_where_the_nearest_patch_lies_is_told_by_its_box(places: Places, line: Any) -> None:
    truth, held = read_truth(line.raw), open_cohort(places.cohort("ct-rate", "all")).select("valid")
    first = shown(places)[0]
    question = next(q for q in choose(held, truth, 0) if (q.study, q.kind) == (first["study"], first["kind"]))
    study = next(of for of in held if of.id == question.study)
    volume, model = read_volume(study.source_path), load(line.run)
    (found,) = model.ground(volume, [question.text])
    voxels = np.argwhere(read_mask(truth.mask_path(study.id)) == question.mask_value)
    points = voxels @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    low, high = found.boxes_mm[0]
    inside = bool(((points >= low - 1e-3) & (points <= high + 1e-3)).all(1).any())
    assert first["touches"] == inside
    apart = np.sqrt(((points - (low + high) / 2) ** 2).sum(1)).min()
    assert first["away_mm"] == pytest.approx(apart)
    assert first["similarity"] == pytest.approx(found.scores[0], abs=1e-5)


def test_another_seed_shows_other_scans_and_each_is_asked_for_what_it_lacks(line: Any) -> None:
    truth, held = read_truth(line.raw), open_cohort(line.cohort)
    drawn = [choose(held, truth, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for question in drawn[0]:
        assert question.swapped is not None
        has = {of.finding for of in truth.of(question.study) if not of.negated}
        assert question.kind in has
    assert len({question.kind for question in drawn[0]}) == len(drawn[0]) > SHOWN


def test_scans_of_real_cohorts_have_no_truth_to_outline(places: Places, tmp_path: Path) -> None:
    own = Places(tmp_path / "out")
    scan = own.heat("simcrop", 0) / "01"
    scan.mkdir(parents=True)
    picture = next((places.out / "fig4").glob("*.png")).read_bytes()
    (scan / "sentence_01.png").write_bytes(picture)
    (scan / "metrics.json").write_text(json.dumps({"sentence_01": {"similarity_max": 0.25}}))
    (scan.parent / "metrics.json").write_text("{}")
    run = {"verb": "reproduce", "command": ["simcrop", "reproduce", "fig4"], "settings": {"data": "d.yaml"}}
    (own.out / "run.json").write_text(json.dumps(run))
    (seen,) = write_table("fig4", FIG4_ROWS, FIG4_COLUMNS, (0,), own, {}, {})["shown"]
    assert (seen["row"], seen["scan"], seen["sentence"], seen["similarity"]) == (
        "simcrop",
        "01",
        "sentence_01",
        0.25,
    )
    assert (own.out / "fig4" / "simcrop-01-sentence_01.png").read_bytes() == picture
    assert "(fig4/simcrop-01-sentence_01.png)" in own.table("fig4", "md").read_text()
    assert own.table("fig4", "csv").read_text().splitlines()[1].startswith("simcrop,")
    page = own.table("fig4", "html").read_text()
    assert page.count("<img") == 1
    assert "Where findings truly lie is not known" in page
    assert "Scan 01, sentence 01" in page


def test_a_row_that_failed_or_is_not_finished_shows_its_reason_and_no_picture(tmp_path: Path) -> None:
    places, (row, *_) = Places(tmp_path / "out"), FIG4_ROWS
    run, maps = places.run(row.key, 0), places.heat(row.key, 0)
    (run / "model").mkdir(parents=True)
    assert reason_of(row, 0, places, {}, phantoms=True) == ""
    assert (
        reason_of(row, 0, places, {run: "no rate was chosen"}, phantoms=True) == "failed: no rate was chosen"
    )
    assert reason_of(row, 0, places, {}, phantoms=False) == "not yet run"
    (maps / "01").mkdir(parents=True)
    assert reason_of(row, 0, places, {}, phantoms=False) == "not finished"
    assert reason_of(row, 0, places, {maps: "scan 2"}, phantoms=False) == "failed: scan 2"
    (maps / "metrics.json").write_text("{}")
    assert reason_of(row, 0, places, {}, phantoms=False) == ""
