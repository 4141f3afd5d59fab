"""Shared fixtures: where the real scans and reports are, and the toys that the network's tests train on."""

import json
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REAL_DATA = Path(os.environ.get("SIMCROP_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans, reports and tables. In CI it must be there."""
    if not (REAL_DATA / "ct").is_dir():
        if os.environ.get("CI"):
            pytest.fail("CI must run the tests on real input: set SIMCROP_REAL_DATA to the real data folder")
        pytest.skip("REAL INPUT MISSING: set SIMCROP_REAL_DATA to the folder that holds ct/ and ctrate/")
    return REAL_DATA


PIECES = [*string.ascii_lowercase, *string.digits, *".,-()/%"]
WORDS = "the no left right lung lobe nodule pleural effusion heart upper lower in is are not of and".split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *PIECES, *(f"##{piece}" for piece in PIECES), *WORDS]
BERT = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 96,
    "vocab_size": len(VOCABULARY),
    "type_vocab_size": 2,
}


@pytest.fixture(scope="session")
def write_bert() -> Callable[..., Path]:
    """Writes the folder of a small random BERT. `change` edits its tensors before they are saved."""

    def write(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> Path:
        import torch
        from safetensors.torch import save_file
        from transformers import BertConfig, BertModel

        torch.manual_seed(5)
        bert = BertModel(BertConfig(**BERT, initializer_range=0.3), add_pooling_layer=False)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(change(dict(bert.state_dict())), folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({**BERT, "model_type": "bert"}))
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in VOCABULARY))
        return folder

    return write


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory, write_bert: Callable[..., Path]) -> Path:
    """A text encoder of 24 features that spells any lower-case text; nobody may change it."""
    return write_bert(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture
def toy_tree(tiny_bert: Path) -> dict[str, Any]:
    """A whole recipe at toy size, as plain values: 4 x 7 x 3 patches of 6 x 4 x 5 voxels, no two widths alike."""
    return {
        "input": {"spacing_mm": [14, 12, 24], "shape": [24, 28, 15], "patch": [6, 4, 5]},
        "vision": {"depth": 2, "dim": 36, "heads": 3},
        "vision_decoder": {"depth": 1, "dim": 30, "heads": 2},
        "report_decoder": {"depth": 1, "dim": 20, "heads": 5, "hidden": 44},
        "fusion": {"heads": 4},
        "align": {"top_k": 5},
        "text": {"model": str(tiny_bert), "report_length": 64, "sentence_length": 40},
        "optim": {"lr": 3e-3, "batch": 4, "epochs": 100, "warmup_epochs": 1},
        "engine": {"precision": "fp32"},
    }


@pytest.fixture(scope="session")
def toy_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six phantom patients, ingested at the toy recipe's spacing. Sentences may be cached in it, nothing else."""
    from simcrop.data.ingest import ingest
    from simcrop.data.phantom.ct_rate import write_ct_rate

    folder = tmp_path_factory.mktemp("toy")
    write_ct_rate(folder / "raw", patients=6, seed=3, size="tiny")
    ingest(folder / "raw", "ct-rate", folder / "cohort", (14.0, 12.0, 24.0))
    return folder / "cohort"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not (REAL_DATA / "ct").is_dir():
        terminalreporter.write_sep("!", "REAL INPUT MISSING: every test on real scans was skipped", red=True)
