"""`simcrop compare` on results of `simcrop retrieve` and `zero-shot`, written by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

QUERIES = 80


def result(
    folder: Path,
    median: float,
    split: str = "abc",
    named: str = "scan",
    verb: str = "retrieve",
    text: str = "findings",
    top_k: int = 6,
) -> Path:
    """Ranks of queries of forty patients, lower where `median` is; and precisions that are the same for all."""
    folder.mkdir()
    rng, own = np.random.default_rng(0), np.random.default_rng(int(median))
    ranks = np.ceil(median * rng.exponential(size=QUERIES) + own.random(QUERIES))
    keys = (
        ("report -> scan", "all volumes", "rank", ranks),
        ("scan -> scan", "x", "AP@5", rng.random(QUERIES)),
    )
    pl.concat(
        pl.DataFrame(
            {
                "query": [f"{named}{i}" for i in range(QUERIES)],
                "patients": [[i // 2] for i in range(QUERIES)],
                "value": values,
                "above": None if measure != "rank" else values.astype(int) - 1,
                "tied": None if measure != "rank" else np.zeros(QUERIES, int),
                "among": None if measure != "rank" else np.ones(QUERIES, int),
            },
            schema_overrides=dict.fromkeys(("above", "tied", "among"), pl.Int32),
        ).with_columns(direction=pl.lit(direction), pool=pl.lit(pool), measure=pl.lit(measure))
        for direction, pool, measure, values in keys
    ).write_parquet(folder / "ranks.parquet")
    (folder / "metrics.json").write_text(json.dumps({"split_hash": split, "text": text, "top_k": top_k}))
    (folder / "run.json").write_text(json.dumps({"verb": verb, "settings": {}}))
    return folder


def test_better_one_is_told_from_the_other_by_paired_differences(simcrop: Callable, tmp_path: Path) -> None:
    good, bad = result(tmp_path / "good", 2), result(tmp_path / "bad", 20)
    table = pl.read_parquet(bad / "ranks.parquet")
    table.reverse().write_parquet(bad / "ranks.parquet")  # their order does not matter
    ran = simcrop("compare", good, bad, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out/metrics.json").read_text())["retrieval"]
    by_name = {one["measure"]: one for one in found}
    assert list(by_name) == ["R@1", "R@5", "R@10", "mAP@5"]
    (pair,) = by_name["R@5"]["pairs"]
    values = [by_name["R@5"]["methods"][name]["value"] for name in ("good", "bad")]
    assert values[0] == pytest.approx(
        (pl.read_parquet(good / "ranks.parquet")["value"][:QUERIES] <= 5).mean()
    )
    assert pair["difference"] == pytest.approx(values[0] - values[1])
    assert pair["difference_low"] > 0
    (same,) = by_name["mAP@5"]["pairs"]
    assert same["difference"] == same["difference_low"] == same["difference_high"] == 0
    page = (tmp_path / "out/report.html").read_text()
    assert "good − bad" in page
    assert "<td>yes</td>" in page


def test_ties_are_worth_what_chance_makes_of_them(simcrop: Callable, tmp_path: Path) -> None:
    """Every right scan ties with one other: the mean rank is 1.5, and half of them are the first."""
    one, other = result(tmp_path / "one", 2), result(tmp_path / "other", 3)
    table = pl.read_parquet(one / "ranks.parquet")
    at = pl.col("measure") == "rank"
    for name, value in {"value": 1.5, "above": 0, "tied": 1}.items():
        table = table.with_columns(
            pl.when(at).then(value).otherwise(name).cast(table[name].dtype).alias(name)
        )
    table.write_parquet(one / "ranks.parquet")
    ran = simcrop("compare", one, other, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    first = json.loads((tmp_path / "out/metrics.json").read_text())["retrieval"][0]
    assert (first["measure"], first["methods"]["one"]["value"]) == ("R@1", 0.5)


def test_table_without_counts_of_ties_is_asked_for_again(simcrop: Callable, tmp_path: Path) -> None:
    one, other = result(tmp_path / "one", 2), result(tmp_path / "other", 3)
    pl.read_parquet(one / "ranks.parquet").drop("above", "tied", "among").write_parquet(one / "ranks.parquet")
    assert "before ties were counted" in simcrop("compare", one, other, "--out", tmp_path / "out").refusal


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"split": "other"}, "different test patients: their split hashes differ"),
        ({"named": "volume"}, "no queries in common"),
        ({"text": "impression"}, "of different texts: findings, impression"),
        ({"verb": "probe"}, "is of `simcrop retrieve` and"),
        ({"verb": "zero-shot"}, "of `simcrop zero-shot`"),
    ],
)
def test_other_scans_and_other_kinds_are_refused(
    simcrop: Callable, tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    one, other = result(tmp_path / "one", 2), result(tmp_path / "other", 3, **changes)
    assert sentence in simcrop("compare", one, other, "--out", tmp_path / "out").refusal
    assert not (tmp_path / "out").exists()


def test_patches_that_score_a_sentence_are_told_where_they_differ(simcrop: Callable, tmp_path: Path) -> None:
    one, other = result(tmp_path / "one", 2), result(tmp_path / "other", 3, top_k=9)
    assert simcrop("compare", one, other, "--out", tmp_path / "out").code == 0
    assert json.loads((tmp_path / "out/metrics.json").read_text())["top_k"] == {"one": 6, "other": 9}
    assert "Patches that score a sentence: one 6, other 9." in (tmp_path / "out/report.html").read_text()


def test_torn_table_is_one_line(simcrop: Callable, tmp_path: Path) -> None:
    one, other = result(tmp_path / "one", 2), result(tmp_path / "other", 3)
    (other / "ranks.parquet").write_bytes(b"PAR1 torn")
    ran = simcrop("compare", one, other, "--out", tmp_path / "out")
    assert "is no sound result of `simcrop retrieve`" in ran.refusal


def test_two_that_were_asked_in_words_are_compared_as_probes_are(simcrop: Callable, tmp_path: Path) -> None:
    for name, signal in (("one", 3.0), ("other", 0.0)):
        folder = tmp_path / name
        folder.mkdir()
        rng = np.random.default_rng(0)
        truth = (rng.random(60) < 0.5).astype(int)
        pl.DataFrame(
            {
                "share": 0.0,
                "seed": 0,
                "id": [f"s{i:02}" for i in range(60)],
                "patient": np.arange(60),
                "label": "Emphysema",
                "score": signal * truth + rng.normal(size=60),
                "truth": truth,
            }
        ).write_parquet(folder / "predictions.parquet")
        (folder / "metrics.json").write_text(json.dumps({"split_hash": {"test": "abc"}}))
        (folder / "run.json").write_text(json.dumps({"verb": "zero-shot", "settings": {}}))
    ran = simcrop("compare", tmp_path / "one", tmp_path / "other", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "Asked in words, judged by the same 60 scans" in (tmp_path / "out/report.html").read_text()
