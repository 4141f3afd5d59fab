"""`simcrop segment` at toy size: phantoms with lungs, a run, its judgement; killed, resumed, and refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.config import Recipe, load_recipe
from simcrop.data.ingest import ingest
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.evaluation.segmentation import score_scan
from simcrop.files.digest import digest_of_names
from simcrop.phantom.cohort import write_phantom
from simcrop.tasks.segment import segment
from simcrop.tasks.segment_judged import picture_of
from simcrop.tasks.segment_stored import StoredScans
from simcrop.tasks.segment_table import read_table

TOY = (
    "input.shape=[16, 16, 8]",
    "input.spacing_mm=[16, 14, 24]",
    "input.patch=[4, 4, 2]",
    "vision.depth=2",
    "vision.dim=24",
    "vision.heads=2",
    "decoder.feature_size=4",
    "optim.steps=3",
    "optim.batch=4",
)
