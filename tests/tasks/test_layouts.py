"""Every verb that judges an encoder, on a phantom cohort of every layout: done with its figures, or refused in one
line that says why, and nothing written.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from simcrop.files.digest import digest_of_files
from simcrop.tasks.cohorts.ingest import ingest
from simcrop.tasks.cohorts.phantom import phantom

PATIENTS = 8
LAYOUTS = ("ct-rate", "rad-chestct", "cc-ccii", "luna16", "btcv", "folder")
VERBS = ("check", "embed", "probe", "probe of features", "compare", "transfer", "zero-shot", "retrieve")
NO_LABELS = "its studies have no labels"
# Which layout cannot be asked what, and what is said then. Reports are in CT-RATE's tree and in a folder of one's own.
REFUSED = {
    **{("btcv", verb): NO_LABELS for verb in ("probe", "probe of features", "transfer", "zero-shot")},
    ("btcv", "compare"): "is no result of `simcrop probe`",
    ("cc-ccii", "transfer"): "does not know the label 'CP' of the cohort: give --map",
    **{
        (layout, "retrieve"): "split 'valid' has fewer than two studies with findings"
        for layout in ("rad-chestct", "cc-ccii", "luna16", "btcv")
    },
}
Ask = Callable[[str, str], Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cohorts and results, each made once: HOME/LAYOUT/cohort and HOME/LAYOUT/VERB."""
    return tmp_path_factory.mktemp("layouts")


@pytest.fixture
def ask(simcrop: Callable, line, home: Path) -> Ask:
    """Runs a verb on a layout's cohort, which it makes if need be; what it said, None where it was run before."""

    def asked(layout: str, verb: str) -> Any:
        if (out := home / layout / verb).exists():
            return None
        cohort = cohort_of(layout, home / layout)
        probed, features = home / layout / "probe", home / layout / "embed/embeddings.parquet"
        words: tuple[object, ...] = {
            "check": ("check", cohort, "--recipe", "simcrop-tiny"),
            "embed": ("embed", line.run, cohort),
            "probe": ("probe", line.run, cohort, "--no-baselines"),
            "probe of features": ("probe", features, cohort),
            "compare": ("compare", probed, home / layout / "probe of features"),
            "transfer": ("transfer", home / "ct-rate/probe", cohort, "--split", "valid"),
            "zero-shot": ("zero-shot", line.run, cohort, "--protocol", "ct-clip"),
            "retrieve": ("retrieve", line.run, cohort),
        }[verb]
        return simcrop(*words, "--out", out)

    return asked


def cohort_of(layout: str, folder: Path) -> Path:
    """Ingested from its raw tree. Of so few patients there may be none in a split, so every second one is put there."""
    if not (cohort := folder / "cohort").exists():
        phantom(folder / "raw", layout, PATIENTS, seed=0, size="tiny")
        ingest(folder / "raw", layout, cohort, spacing="5.5,5.5,10")
        table, held_out = pl.read_parquet(cohort / "studies.parquet"), pl.col("patient").rank("dense") % 2
        split = pl.when(held_out == 1).then(pl.lit("valid")).otherwise(pl.lit("train")).alias("split")
        table.with_columns(split).write_parquet(cohort / "studies.parquet")
    return cohort


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_verb_runs_on_a_layout_or_says_why_not(ask: Ask, home: Path, layout: str, verb: str) -> None:
    ask("ct-rate", "probe")
    for before in ("embed", "probe", *(["probe of features"] if verb == "compare" else [])):
        ask(layout, before)
    studies = cohort_of(layout, home / layout) / "studies.parquet"
    was, ran, out = digest_of_files(studies), ask(layout, verb), home / layout / verb
    if why := REFUSED.get((layout, verb)):
        assert why in ran.refusal
        assert not out.exists()
    else:
        assert ran is None or ran.code == 0, ran.err
        assert json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
        assert json.loads((out / "run.json").read_text())["verb"] == verb.split()[0]
    assert digest_of_files(studies) == was


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if (layout, "probe") not in REFUSED])
def test_features_of_a_layout_are_joined_by_the_ids_that_embed_writes(
    ask: Ask, home: Path, layout: str
) -> None:
    for verb in ("embed", "probe", "probe of features"):
        ask(layout, verb)
    again, own = (
        json.loads((home / layout / verb / "metrics.json").read_text())
        for verb in ("probe of features", "probe")
    )
    assert again["unmatched"] == []
    assert again["macro_auroc"] == pytest.approx(own["macro_auroc"], abs=1e-6)
