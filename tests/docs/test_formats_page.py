"""`docs/formats.md` names every file and column as the code does, and what a toy run wrote. No axes or units."""

import json
import re
from pathlib import Path

import pytest

from simcrop.data.store import format as cohort_files
from simcrop.data.store.findings import FINDINGS_SCHEMA
from simcrop.data.store.schema import LEDGER_COLUMNS, STUDY_SCHEMA
from simcrop.engine import checkpoint
from simcrop.evaluation.grounding.scores import MEASURES, WHO
from simcrop.files import embedding_files, embeddings
from simcrop.model import folder, manifest, onnx_encoder
from simcrop.tasks import folder as any_folder
from simcrop.tasks.auditing import audit
from simcrop.tasks.auditing import tables as audit_tables
from simcrop.tasks.grounding import eval_table as ground_eval_table
from simcrop.tasks.grounding import ground_rex, rex_judged
from simcrop.tasks.grounding import jobs as ground_jobs
from simcrop.tasks.probing import figures as probe_figures
from simcrop.tasks.probing import heads as probe_heads
from simcrop.tasks.retrieval import page as retrieve_page
from simcrop.tasks.retrieval import similar_page
from simcrop.tasks.segmentation import predict_page as segment_predict_page
from simcrop.tasks.segmentation import table as segment_table

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
NAMED = {part for code in re.findall(r"`([^`\n]+)`", PAGE) for part in (code, *code.split("/"))}

COHORT = {
    *(cohort_files.COHORT, cohort_files.STUDIES, cohort_files.LEDGER, cohort_files.FINDINGS),
    *(cohort_files.JOURNAL, cohort_files.LOCK, cohort_files.VOLUMES, cohort_files.MASKS),
    *(cohort_files.SOURCE_MASKS, cohort_files.KEPT),
    *(STUDY_SCHEMA.keys() | FINDINGS_SCHEMA.keys()),
    *LEDGER_COLUMNS,
}
FILES = {
    *(any_folder.RUN, any_folder.METRICS, checkpoint.STATE, folder.CONFIG, folder.WEIGHTS, manifest.MANIFEST),
    *(onnx_encoder.ONNX, onnx_encoder.DESCRIBED, embeddings.TABLE, probe_figures.PREDICTIONS),
    *(probe_heads.HEADS, retrieve_page.RANKS, retrieve_page.TYPED, similar_page.TABLE, audit.SENTENCES),
    *(audit.PRESENCE, ground_eval_table.SENTENCES, segment_table.TABLE, segment_predict_page.VOLUMES),
    *(ground_rex.THRESHOLD, ground_rex.ZIP, rex_judged.SCANS, ground_jobs.RESULTS, ground_jobs.DONE),
    *(embeddings.KEY, embeddings.VECTOR, embeddings.TOKENS, embedding_files.COORDS, embedding_files.INSIDE),
}
COLUMNS = {
    "segmentation.parquet": {*segment_table.NUMBERS},
    "sentences.csv": {*ground_eval_table.KEYS, *MEASURES, *(f"_{who}" for who in WHO if who != "own")},
    "sentences.parquet": {*audit_tables.COLUMNS},
    "similar.csv": {*similar_page.COLUMNS},
    "results.csv": {*ground_jobs.COLUMNS},
}


def test_every_file_and_column_of_a_cohort_is_named() -> None:
    assert sorted(COHORT - NAMED) == []


def test_every_file_that_a_verb_writes_is_named() -> None:
    assert sorted(FILES - NAMED) == []


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_of_a_table_is_named_beside_it(name: str) -> None:
    beside = next(part for part in PAGE.split("\n\n") if f"`{name}`" in part)
    if beside.startswith("|"):
        beside = next(line for line in beside.splitlines() if f"`{name}`" in line)
    assert sorted(COLUMNS[name] - set(re.findall(r"`([^`]+)`", beside))) == []


def test_formats_have_the_numbers_that_the_page_says() -> None:
    assert f"`format` ({cohort_files.FORMAT})" in PAGE
    assert f"`format` ({folder.FORMAT}), `method`" in PAGE


def test_what_a_toy_run_wrote_is_named(line) -> None:
    """`line`: a raw tree, its cohort and a run on it."""
    for path in (line.cohort / "cohort.json", line.run / "run.json", line.run / "model" / "config.json"):
        assert sorted(json.loads(path.read_text()).keys() - NAMED) == [], path.name
    rows = [json.loads(row) for row in (line.run / "journal.jsonl").read_text().splitlines()]
    terms = {"volume", "report", "align"}
    assert sorted(set().union(*rows) - NAMED - terms) == []
    for path in line.run.iterdir():
        assert path.name in NAMED, path.name
