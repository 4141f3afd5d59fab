"""Texts of a training in a mapped file: batches are those of a slow reading of the reports, to the bit, wherever they
come from. Axes: s sentence, u distinct sentence, d feature.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from simcrop.config import Recipe, build_recipe
from simcrop.data.report import Report
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.collate import Collate, texts_of
from simcrop.data.samples.dataset import Sample
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.order import SampleDraw
from simcrop.files.mapped import open_checked
from simcrop.tasks.training import text_bank
from simcrop.tasks.training.components import TrainingInputs, gather_inputs
from simcrop.tasks.training.samples import samples_of, shared_index

DECODER = {"vision_decoder": {"depth": 1, "dim": 30, "heads": 2}}
OWN: dict[str, dict[str, Any]] = {
    "simcrop": {},
    "opposites": {
        "align": {
            "top_k": 5,
            "opposite": {"enabled": True},
            "level": {"enabled": True},
            "cross_image": {"enabled": True},
        }
    },
    "mrm": DECODER
    | {"report_decoder": {"depth": 1, "dim": 20, "heads": 5, "hidden": 44}, "mlm": {"vocabulary": "compact"}},
    "ct-clip": {"contrast": {"dim": 17, "center_text": True}},
    "fvlm": {},
    "trained": {"text": {"freeze": False}},
}


@pytest.fixture
def cohort(toy_cohort: Path, tmp_path: Path) -> Cohort:
    folder = tmp_path / "cohort"
    shutil.copytree(toy_cohort, folder, ignore=shutil.ignore_patterns("sentences"))
    return open_cohort(folder)


@pytest.fixture
def recipe_of(toy_tree: dict[str, Any]) -> Callable[..., Recipe]:
    def recipe(name: str, keep: bool) -> Recipe:
        tree = {group: toy_tree[group] for group in ("input", "vision", "text", "optim", "engine")}
        if name in {"simcrop", "opposites", "trained"}:
            tree = dict(toy_tree)
        tree |= {"method": name if name in {"mrm", "ct-clip", "fvlm"} else "simcrop"}
        own = OWN[name]
        tree |= {group: {**tree.get(group, {}), **settings} for group, settings in own.items()}
        return build_recipe(tree | {"text": {**tree["text"], "cache_sentences": keep}}, "toy")

    return recipe


def batch_of(inputs: TrainingInputs, cohort: Cohort, rows: list[int]) -> Batch:
    samples = [
        Sample(study.id, torch.zeros(1, 2, 3, 4), Report(study.findings, study.impression), {})
        for study in (cohort[i] for i in rows)
    ]
    batch = Collate(inputs.texts)(samples)  # type: ignore[arg-type]
    assert isinstance(batch, Batch)
    return batch


def same(ours: Any, theirs: Any) -> bool:
    """To the bit, with every part that either has."""
    if isinstance(ours, Tensor):
        return ours.dtype == theirs.dtype and torch.equal(ours.nan_to_num(-9), theirs.nan_to_num(-9))
    if is_dataclass(ours) and not isinstance(ours, type):
        return all(same(getattr(ours, f.name), getattr(theirs, f.name)) for f in fields(ours))
    return ours == theirs


@pytest.mark.parametrize("name", OWN)
def test_batches_and_components_are_the_same_kept_found_and_in_memory(
    cohort: Cohort, recipe_of: Callable[..., Recipe], name: str
) -> None:
    recipe, memory = recipe_of(name, keep=True), recipe_of(name, keep=False)
    in_memory = gather_inputs(cohort, cohort, memory)
    first, found = (gather_inputs(cohort, cohort, recipe) for _ in range(2))
    assert in_memory.texts is not None
    assert in_memory.texts.mapped is None
    for kept in (first, found):
        assert kept.texts is not None
        assert kept.texts.mapped is not None
        for part in ("vocabulary", "center"):
            assert same(getattr(kept.components, part), getattr(in_memory.components, part))
        sent = replace(kept, texts=ForkingPickler.loads(ForkingPickler.dumps(kept.texts)))
        for rows in ([0, 3, 1], [2], [5, 4, 3, 2]):
            wanted = batch_of(in_memory, cohort, rows)
            assert same(batch_of(kept, cohort, rows), wanted)
            assert same(batch_of(sent, cohort, rows), wanted)


def test_batches_are_those_of_a_slow_reading_of_the_reports(
    cohort: Cohort, recipe_of: Callable[..., Recipe]
) -> None:
    recipe = recipe_of("simcrop", keep=True)
    gather_inputs(cohort, cohort, recipe)
    inputs = gather_inputs(cohort, cohort, recipe)
    assert inputs.texts is not None
    said = [texts_of(Report(study.findings, study.impression), "sentence") for study in cohort]
    count = Counter(text for report in said for text in set(report))
    distinct = sorted(count)
    assert list(inputs.texts.bank.texts) == distinct
    tokens = {text: inputs.texts.tokenizer.encode([text], 40).ids for text in distinct}
    assert inputs.texts.bank.features is not None
    assert len(inputs.texts.bank.features) == len(tokens)
    rows = [4, 1, 2]
    sentences = batch_of(inputs, cohort, rows).sentences
    flat = [text for row in rows for text in said[row]]
    assert sentences.sentence_id.tolist() == [distinct.index(text) for text in flat]
    assert sentences.image_index.tolist() == [place for place, row in enumerate(rows) for _ in said[row]]
    assert sentences.document_frequency.tolist() == [
        np.float32(count[text] / sum(map(bool, said))).item() for text in flat
    ]


def test_what_goes_to_a_loading_process_does_not_grow_with_the_reports(
    cohort: Cohort, recipe_of: Callable[..., Recipe]
) -> None:
    recipe, sizes, arrays = recipe_of("simcrop", keep=True), [], []
    for times in (1, 40):
        copies = [
            cohort.index.with_columns(
                id=pl.col("id") + f"-{i}", findings=pl.col("findings") + f" Nodule of {i} mm."
            )
            for i in range(times)
        ]
        studies = replace(cohort, index=pl.concat(copies))
        texts = gather_inputs(cohort, studies, recipe).texts
        assert texts is not None
        assert texts.mapped is not None
        whole = np.frombuffer(texts.mapped.memory, np.uint8)
        bank = texts.bank
        for array in (bank.features, bank.document_frequency, bank.size_mm):
            assert array is not None
            assert np.shares_memory(whole, array.numpy()), "copied out of the file"
        assert np.shares_memory(whole, bank.texts.content)
        arrays.append(len(whole))
        sizes.append(len(ForkingPickler.dumps(texts)) - len(ForkingPickler.dumps(texts.tokenizer)))
    assert arrays[1] > arrays[0] + 10_000
    assert sizes[0] == sizes[1] < 1000


def test_damaged_file_is_made_anew(cohort: Cohort, recipe_of: Callable[..., Recipe]) -> None:
    recipe = recipe_of("simcrop", keep=True)
    wanted = batch_of(gather_inputs(cohort, cohort, recipe), cohort, [0, 1])
    (path,) = (cohort.path / "sentences").glob("bank-*")
    content = bytearray(path.read_bytes())
    for damaged in (content[:-1], content[: len(content) // 2], b"", content[:-5] + b"xxxxx"):
        path.write_bytes(damaged)
        assert same(batch_of(gather_inputs(cohort, cohort, recipe), cohort, [0, 1]), wanted)
        assert open_checked(path) is not None


def test_changed_reports_other_studies_and_other_wishes_are_other_files_and_old_reports_go(
    cohort: Cohort, recipe_of: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    def names(studies: Cohort, name: str = "simcrop") -> set[str]:
        gather_inputs(studies, studies, recipe_of(name, keep=True))
        return {path.name for path in (cohort.path / "sentences").glob("bank-*")}

    first = names(cohort)
    assert names(cohort) == first
    assert len(names(cohort.keep([0, 1, 2]))) == 2
    assert len(names(cohort, "opposites")) == 3
    assert len(names(cohort, "trained")) == 4
    changed = cohort.index.with_columns(findings=pl.col("findings") + " A cyst.")
    changed.write_parquet(cohort.path / "studies.parquet")
    assert len(left := names(open_cohort(cohort.path))) == 1
    assert not left & first
    monkeypatch.setattr(text_bank, "RULES", ("data",))
    assert len(other := names(open_cohort(cohort.path))) == 1
    assert other != left


def rewritten(bert: Path, name: str, **values: object) -> None:
    """`values` in one of its JSON files."""
    file = bert / name
    known = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps({**known, **values}))


def turned(bert: Path) -> None:
    """Its word pieces in another order, so that each has another's vector."""
    pieces = (bert / "vocab.txt").read_text().split()
    (bert / "vocab.txt").write_text("\n".join([*pieces[:5], *pieces[:4:-1]]))


@pytest.mark.parametrize(
    "change",
    [
        lambda bert: rewritten(bert, "config.json", num_attention_heads=8),
        lambda bert: rewritten(bert, "tokenizer_config.json", do_lower_case=False),
        turned,
    ],
    ids=["config", "case", "vocabulary"],
)
def test_kept_features_are_those_of_the_text_encoder_as_it_is_now(
    cohort: Cohort,
    recipe_of: Callable[..., Recipe],
    write_bert: Callable[..., Path],
    tmp_path: Path,
    change: Callable[[Path], None],
) -> None:
    bert = write_bert(tmp_path / "bert")

    def features(keep: bool) -> Tensor:
        recipe = recipe_of("simcrop", keep)
        text = recipe.text.model_copy(update={"model": str(bert)})
        inputs = gather_inputs(cohort, cohort, recipe.model_copy(update={"text": text}))
        return inputs.texts.bank.features.clone()  # type: ignore[union-attr]

    before = features(keep=True)
    assert torch.equal(before, features(keep=False))
    change(bert)
    now = features(keep=False)
    assert (now - before).abs().max() > 0.1
    assert torch.equal(features(keep=True), now)


def test_cohort_that_cannot_be_written_has_its_texts_in_memory(
    cohort: Cohort, recipe_of: Callable[..., Recipe]
) -> None:
    (cohort.path / "sentences").write_text("in the way")
    inputs = gather_inputs(cohort, cohort, recipe_of("simcrop", keep=True))
    wanted = gather_inputs(cohort, cohort, recipe_of("simcrop", keep=False))
    assert inputs.texts is not None
    assert inputs.texts.mapped is None
    assert same(batch_of(inputs, cohort, [0, 1]), batch_of(wanted, cohort, [0, 1]))


@dataclass(frozen=True)
class SecondOfTwo(DistributedContext):
    """Its fellow does at the barrier what `fellow` says."""

    fellow: Callable[[], object] = lambda: None

    def any_rank(self, mine: bool) -> bool:
        return mine

    def total(self, values: Tensor) -> Tensor:
        return values

    def barrier(self) -> None:
        self.fellow()


def test_second_process_writes_nothing_and_opens_what_the_first_has_written(
    cohort: Cohort, recipe_of: Callable[..., Recipe]
) -> None:
    recipe, second = recipe_of("trained", keep=True), SecondOfTwo(1, 2, torch.device("cpu"))
    alone = gather_inputs(cohort, cohort, recipe, second).texts
    assert alone is not None
    assert alone.mapped is None
    assert not list(cohort.path.glob("sentences/bank-*"))
    second = replace(second, fellow=lambda: gather_inputs(cohort, cohort, recipe))
    together = gather_inputs(cohort, cohort, recipe, second).texts
    assert together is not None
    assert together.mapped is not None


def test_process_that_is_started_afresh_loads_the_same_batches(
    cohort: Cohort, recipe_of: Callable[..., Recipe]
) -> None:
    recipe = recipe_of("simcrop", keep=True)
    draws = [[SampleDraw(i, 3 * i) for i in range(4)], [SampleDraw(5, 1)]]
    inputs = gather_inputs(cohort, cohort, recipe)
    samples = samples_of(
        cohort, recipe, shared_index(cohort, recipe, DistributedContext(0, 1, torch.device("cpu")))
    )
    here = [Collate(inputs.texts)([samples_of(cohort, recipe)[draw] for draw in some]) for some in draws]
    there = DataLoader(
        samples,
        batch_sampler=draws,  # type: ignore[arg-type]
        collate_fn=Collate(inputs.texts),
        num_workers=1,
        multiprocessing_context="spawn",
    )
    assert all(same(ours, theirs) for ours, theirs in zip(there, here, strict=True))
