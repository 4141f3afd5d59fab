"""A plugin of pytest: masks for studies of a cohort whose raw files have none.

Axes: x, y, z of the grid in the scan's file. Labels are whole numbers, 0 is the background.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def mark() -> Callable[..., None]:
    """Gives studies of a cohort masks, as if they had been ingested with them: id -> labels on the source grid."""
    import polars as pl

    from simcrop.data.ingest.mask import Labels, write_labels
    from simcrop.data.label_volume import found_classes, resampled_labels
    from simcrop.data.store.cohort import open_cohort

    def mark_studies(cohort: Path, masks: dict[str, np.ndarray], classes: dict[int, str]) -> None:
        for folder in ("masks", "source-masks"):
            (cohort / folder).mkdir(exist_ok=True)
        records: list[dict[str, Any]] = []
        for study in open_cohort(cohort):
            record: dict[str, Any] = {}
            if study.id in masks:
                source = masks[study.id].astype(np.int16)
                stored = resampled_labels(source, study.source_affine, study.shape, study.affine)
                labels = Labels(source, stored, found_classes(source, classes))
                record = write_labels(cohort, study.id, labels)
            records.append(record)
        table = pl.read_parquet(cohort / "studies.parquet")
        columns = {
            "mask_checksum": "checksum",
            "source_mask_checksum": "source_checksum",
            "mask_values": "values",
        }
        for column, name in columns.items():
            told = [record.get(name) for record in records]
            table = table.with_columns(pl.Series(column, told, dtype=table.schema[column]))
        table.write_parquet(cohort / "studies.parquet")
        facts = json.loads((cohort / "cohort.json").read_text())
        facts["classes"] = {str(number): name for number, name in classes.items()}
        (cohort / "cohort.json").write_text(json.dumps(facts))

    return mark_studies
