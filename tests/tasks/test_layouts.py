"""Every verb that judges an encoder, on a phantom cohort of every layout: done with its figures, or refused in one
line that says why, and nothing written.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from simcrop.files.digest import digest_of_files
from simcrop.tasks.embed import embed
from simcrop.tasks.ingest import ingest
from simcrop.tasks.phantom import phantom
from simcrop.tasks.probe import ProbeOptions, probe

PATIENTS = 8
LAYOUTS = ("ct-rate", "rad-chestct", "cc-ccii", "luna16", "btcv", "folder")
VERBS = ("embed", "check", "probe", "compare", "transfer", "zero-shot", "retrieve")
NO_LABELS = "its studies have no labels"
# Which layout cannot be asked what, and what is said then. Reports are in CT-RATE's tree and in a folder of one's own.
REFUSED = {
    **{("btcv", verb): NO_LABELS for verb in ("probe", "transfer", "zero-shot")},
    ("btcv", "compare"): "is no result of `simcrop probe`",
    ("cc-ccii", "transfer"): "does not know the label 'CP' of the cohort: give --map",
    **{
        (layout, "retrieve"): "split 'valid' has fewer than two studies with a findings"
        for layout in ("rad-chestct", "cc-ccii", "luna16", "btcv")
    },
}


@dataclass(frozen=True)
class There:
    """A layout's cohort, half of whose patients are held out, with features and, where it has labels, a probe."""

    cohort: Path
    features: Path
    probed: Path


@pytest.fixture(scope="module")
def made(line, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], There]:
    """Ingested from its raw tree, once. Of so few patients there may be none in a split, so every second one is."""

    @cache
    def of(layout: str) -> There:
        home = tmp_path_factory.mktemp(layout)
        found = There(home / "cohort", home / "embedded/embeddings.parquet", home / "probe")
        phantom(home / "raw", layout, PATIENTS, seed=0, size="tiny")
        ingest(home / "raw", layout, found.cohort, spacing="5.5,5.5,10")
        table, held_out = (
            pl.read_parquet(found.cohort / "studies.parquet"),
            pl.col("patient").rank("dense") % 2,
        )
        split = pl.when(held_out == 1).then(pl.lit("valid")).otherwise(pl.lit("train")).alias("split")
        table.with_columns(split).write_parquet(found.cohort / "studies.parquet")
        embed(str(line.run), found.cohort, home / "embedded")
        if (layout, "probe") not in REFUSED:
            probe(str(line.run), found.cohort, found.probed, ProbeOptions(baselines=False))
        return found

    return of


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_verb_runs_on_a_layout_or_says_why_not(
    simcrop: Callable, line, made: Callable[[str], There], tmp_path: Path, layout: str, verb: str
) -> None:
    there, out = made(layout), tmp_path / "out"
    words: tuple[object, ...] = {
        "embed": ("embed", line.run, there.cohort),
        "check": ("check", there.cohort, "--recipe", "simcrop-tiny"),
        "probe": ("probe", line.run, there.cohort),
        "compare": ("compare", there.probed, there.probed),
        "transfer": ("transfer", made("ct-rate").probed, there.cohort, "--split", "valid"),
        "zero-shot": ("zero-shot", line.run, there.cohort, "--protocol", "ct-clip"),
        "retrieve": ("retrieve", line.run, there.cohort),
    }[verb]
    before = digest_of_files(there.cohort / "studies.parquet")
    ran = simcrop(*words, "--out", out)
    if why := REFUSED.get((layout, verb)):
        assert why in ran.refusal
        assert not out.exists()
    else:
        assert ran.code == 0, ran.err
        strictly = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
        assert strictly
        assert json.loads((out / "run.json").read_text())["verb"] == words[0]
    assert digest_of_files(there.cohort / "studies.parquet") == before


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if (layout, "probe") not in REFUSED])
def test_features_of_a_layout_are_joined_by_the_ids_that_embed_writes(
    simcrop: Callable, made: Callable[[str], There], tmp_path: Path, layout: str
) -> None:
    there = made(layout)
    assert simcrop("probe", there.features, there.cohort, "--out", tmp_path / "out").code == 0
    again, own = (
        json.loads((folder / "metrics.json").read_text()) for folder in (tmp_path / "out", there.probed)
    )
    assert again["unmatched"] == []
    assert again["macro_auroc"] == pytest.approx(own["macro_auroc"], abs=1e-6)
