"""Shared fixtures: where the real scans and reports are, and the toys that the network's tests train on."""

import json
import os
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = (
    "waiting_for",
    "marking",
    "segmenters",
    "lungs",
    "hub_here",
    "small_models",
    "collecting",
    "uncounted",
)
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
WORDS = [
    "the",
    "no",
    "not",
    "in",
    "of",
    "and",
    "is",
    "left",
    "right",
    "upper",
    "lower",
    "lung",
    "lobe",
    "nodule",
]
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

        from simcrop.nn.bert import Bert, bert_shape

        torch.manual_seed(5)
        bert = Bert(bert_shape(BERT))
        for name, parameter in bert.named_parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
            elif "LayerNorm" not in name:
                torch.nn.init.zeros_(parameter)
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
    from simcrop.phantom import write_ct_rate

    folder = tmp_path_factory.mktemp("toy")
    write_ct_rate(folder / "raw", patients=6, seed=3, size="tiny")
    ingest(folder / "raw", "ct-rate", folder / "cohort", (14.0, 12.0, 24.0))
    return folder / "cohort"


@pytest.fixture(scope="session")
def fine_cohort(toy_cohort: Path) -> Path:
    """The same patients, stored twice as fine."""
    from simcrop.data.ingest import ingest

    ingest(toy_cohort.parent / "raw", "ct-rate", toy_cohort.parent / "fine", (7.0, 6.0, 12.0))
    return toy_cohort.parent / "fine"


@dataclass(frozen=True)
class Ran:
    """A command as its user sees it."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line of a command that could not do its work."""
        assert self.code == 2, self
        assert len(self.err.splitlines()) == 1, self
        assert self.err.startswith("error: "), self
        assert "Traceback" not in self.out + self.err
        return self.err.removeprefix("error: ").strip()


@pytest.fixture
def simcrop(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs the command line in this process, and catches what C libraries print, too."""
    from simcrop.cli.app import main

    def run(*words: object) -> Ran:
        argv = [str(word) for word in words]
        monkeypatch.setattr("sys.argv", ["simcrop", *argv])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(argv)
        out, err = capfd.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


@dataclass(frozen=True)
class Line:
    """The straight line once through, at toy size: phantom, cohort, run. Nobody may change these folders."""

    raw: Path
    cohort: Path
    run: Path

    @property
    def scan(self) -> Path:
        return next(self.raw.glob("dataset/train_fixed/train_1/*/*.nii.gz"))

    SETTINGS = (
        *("optim.steps=3", "optim.batch=4", "vision.dim=48", "vision.depth=1", "vision_decoder.dim=48"),
        *("vision_decoder.depth=1", "report_decoder.dim=48", "report_decoder.depth=1"),
        "report_decoder.hidden=96",
    )


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Line:
    from simcrop.config import load_recipe
    from simcrop.tasks.cohorts.ingest import ingest
    from simcrop.tasks.cohorts.phantom import phantom
    from simcrop.tasks.training.pretrain import pretrain

    home = tmp_path_factory.mktemp("line")
    made = Line(home / "raw", home / "cohort", home / "run")
    phantom(made.raw, "ct-rate", patients=12, seed=0, size="tiny")
    ingest(made.raw, "ct-rate", made.cohort, spacing="5.5,5.5,10")
    # MiniLM, of six layers and 384 features, is read in tests/tasks/test_every_method.py.
    text = (f"text.model={tiny_bert}", "text.report_length=96", "text.sentence_length=40")
    pretrain(made.cohort, load_recipe("simcrop-tiny", [*Line.SETTINGS, *text]), made.run)
    return made


# Small scans of our own, axes x, y, z, with 29, 23, 17 voxels at 2.0, 2.5, 4.0 mm.
SHAPE = (29, 23, 17)


@pytest.fixture(scope="session")
def scan() -> Callable[..., Any]:
    """Air round a soft body with lungs, int16 HU, different for each seed."""
    import numpy as np

    def chest(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
        hu = np.full(shape, -1000.0)
        hu[4:-4, 4:-4] = 40
        hu[7:12, 7:-7] = -850
        return (hu + np.random.default_rng(seed).normal(0, 15, shape)).astype(np.int16)

    return chest


@pytest.fixture(scope="session")
def lungs() -> Any:
    """Labels of that chest, uint8: 1 in its right half and 2 in its left half, x being stored from right to left."""
    import numpy as np

    labels = np.zeros(SHAPE, np.uint8)
    labels[7:9, 7:-7], labels[10:12, 7:-7] = 1, 2
    return labels


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    """Writes a scan as NIfTI."""
    import nibabel as nib
    import numpy as np

    def save_scan(path: Path, hu: np.ndarray, affine: np.ndarray | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.Nifti1Image(hu, np.diag([-2.0, -2.5, 4.0, 1.0]) if affine is None else affine).to_filename(path)
        return path

    return save_scan


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, object]]:
    """Everything in a cohort that must not depend on how it was made."""
    import polars as pl

    def content_of(cohort: Path) -> dict[str, object]:
        stored = [p for name in ("volumes", "masks", "source-masks") for p in cohort.glob(f"{name}/*")]
        volumes = {str(p.relative_to(cohort)): p.read_bytes() for p in sorted(stored)}
        tables = {
            name: pl.read_parquet(cohort / f"{name}.parquet").to_dicts() for name in ("studies", "ledger")
        }
        raw = {p.name: p.read_bytes() for p in cohort.iterdir() if p.is_file() and p.name != "ingest.jsonl"}
        return {"volumes": volumes, **tables, **raw}

    return content_of


NO_CARD = "NO CUDA DEVICE"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip(f"{NO_CARD}: runs where there is a card")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not (REAL_DATA / "ct").is_dir():
        terminalreporter.write_sep("!", "REAL INPUT MISSING: every test on real scans was skipped", red=True)
    if cards := sum(NO_CARD in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_sep("!", f"{NO_CARD}: {cards} tests were skipped", yellow=True)
