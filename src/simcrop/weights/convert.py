"""Downloaded checkpoints into safetensors folders and files that a recipe can name."""

import shutil
from collections.abc import Callable
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.files.tensors import save_tensors
from simcrop.weights.checkpoint import read_tensors

KINDS = ("cxr-bert", "mae-imagenet", "m3d", "released")  # the last two become models: `m3d.py`, `released.py`
TOKENIZER = (
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
)  # one of the first two, the third where it is


def check_source(kind: str, source: Path) -> None:
    """Whether there is such a kind, and something at that place."""
    if kind not in KINDS:
        raise SimcropError(
            "bad-setting", f"unknown kind of weights {kind!r}; known: {', '.join(sorted(KINDS))}"
        )
    if not source.exists():
        raise SimcropError("missing-file", f"{source}: no such file or folder")


def convert(kind: str, source: Path, out: Path) -> str:
    """`cxr-bert`: a BERT folder; `mae-imagenet`: an MAE ViT checkpoint. Returns a line that says what to do with it."""
    check_source(kind, source)
    kinds: dict[str, Callable[[Path, Path], str]] = {"cxr-bert": cxr_bert, "mae-imagenet": mae_imagenet}
    out.mkdir(parents=True, exist_ok=True)
    return kinds[kind](source, out)


def cxr_bert(source: Path, out: Path) -> str:
    """A downloaded BERT folder, its pickle replaced by safetensors; encoder and tokenizer are read back before it
    counts: a run needs both.
    """
    from simcrop.data.samples.tokenizer import Tokenizer
    from simcrop.nn.text_encoder import read_text_encoder

    for name in ("config.json", *TOKENIZER):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    weights = source / "model.safetensors"
    save_tensors(
        read_tensors(weights if weights.is_file() else source / "pytorch_model.bin"),
        out / "model.safetensors",
    )
    width = read_text_encoder(out).width
    try:
        Tokenizer.load(out)
    except SimcropError as error:
        raise SimcropError(error.reason, error.sentence.replace(str(out), str(source))) from None
    return f"{width}-d text encoder; use it with --set text.model={out}"


def mae_imagenet(source: Path, out: Path) -> str:
    """The state dict of an MAE pre-training checkpoint."""
    save_tensors(read_tensors(source), out / "mae.safetensors")
    return f"use it with --set init.mae={out / 'mae.safetensors'}"
