"""Who may read what simcrop writes: whoever the user's umask lets, so that a group can share cohorts and runs."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simcrop.config import build_recipe
from simcrop.data.ingest import ingest
from simcrop.phantom import write_ct_rate
from simcrop.tasks.features.embed import embed
from simcrop.tasks.grounding.ground import ground
from simcrop.tasks.training.pretrain import pretrain
from simcrop.tasks.weights import import_weights


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o002)  # a group that shares all; files of tensors under others, see tests/files
    yield 0o002
    os.umask(before)


def test_every_file_and_folder_has_the_mode_that_the_umask_gives(
    umask: int, toy_tree: dict[str, Any], tiny_bert: Path, tmp_path: Path
) -> None:
    raw, cohort, run, text = (tmp_path / name for name in ("raw", "cohort", "run", "text"))
    write_ct_rate(raw, patients=3, seed=3, size="tiny")
    ingest(raw, "ct-rate", cohort, (14.0, 12.0, 24.0))
    import_weights("cxr-bert", tiny_bert, text)
    tree = {**toy_tree, "text": {**toy_tree["text"], "model": str(text)}}
    tree["optim"] = {**tree["optim"], "steps": 2, "batch": 2}
    assert pretrain(cohort, build_recipe({**tree, "checkpoint": {"every": 1}}, "toy"), run).finished
    embed(str(run), cohort, tmp_path / "vectors")
    scan = next(raw.glob("dataset/train_fixed/*/*/*.nii.gz"))
    ground(str(run), scan, ["A nodule in the left upper lobe."], None, tmp_path / "heat")

    wrong = {
        str(path.relative_to(tmp_path)): oct(mode)
        for path in tmp_path.rglob("*")
        if (mode := stat.S_IMODE(path.stat().st_mode)) != (0o777 if path.is_dir() else 0o666) & ~umask
    }
    assert wrong == {}
    kept = {path.suffix for path in tmp_path.rglob("*.*") if path.is_file()}
    assert kept >= {".safetensors", ".json", ".jsonl", ".parquet", ".b2nd", ".html", ".png", ".gz", ".txt"}
