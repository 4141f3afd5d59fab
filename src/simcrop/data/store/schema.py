"""The columns of a cohort's tables.

Axes of shapes: x, y, z. Affines are 16 numbers, row by row, voxel index -> RAS+ mm.
"""

from typing import Any

import polars as pl

LABEL = "label:"  # before the name of a label: its column
NAMELESS = "(pseudonymised)"  # where a path would stand

Schema = dict[str, Any]  # column -> polars type
STUDY_SCHEMA: Schema = {
    "id": pl.String(),
    "patient": pl.String(),
    "scan": pl.String(),
    "split": pl.String(),
    "findings": pl.String(),
    "impression": pl.String(),
    "sentences": pl.Int64(),
    "checksum": pl.String(),
    "status": pl.String(),
    "source_path": pl.String(),
    "source_shape": pl.List(pl.Int64()),
    "source_affine": pl.List(pl.Float64()),
    "hu_decision": pl.String(),
    "mask_path": pl.String(),
    "mask_checksum": pl.String(),
    "source_mask_checksum": pl.String(),
    "mask_values": pl.List(pl.Int64()),
    "shape": pl.List(pl.Int64()),
    "affine": pl.List(pl.Float64()),
}
LEDGER_COLUMNS = ("id", "path", "status", "reason", "sentence")
LEDGER_SCHEMA: Schema = {name: pl.String() for name in LEDGER_COLUMNS}
