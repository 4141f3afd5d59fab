"""The encoder of a model as ONNX, for programs that have no torch, and a JSON that says what goes in and comes out.

Axes: b scan (any number), n patch, x y z voxels (right, front, up), d features. `encoder.onnx`: `volume` (b 1 x y z) in
[-1, 1] -> `tokens` (b n d) and their mean `embedding` (b d).
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from simcrop.config import Recipe
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import flush, write_json, writing
from simcrop.nn.encoder import VisionEncoder

ONNX, WEIGHTS, DESCRIBED = "encoder.onnx", "encoder.onnx.data", "encoder.json"
ONE_FILE = 1.5 * 2**30  # bytes of weights that it takes, and no more than 2 GB; others lie beside it
NEEDED = ("onnx", "onnxscript", "onnxruntime")
CLOSE = 1e-4  # largest difference of any feature, where features are of about one
BATCHES = (1, 3)  # that the written file is tried with


class Encoded(nn.Module):
    """Features of all patches, and their mean."""

    def __init__(self, vision: VisionEncoder) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, volume: Float[Tensor, "b 1 x y z"]) -> tuple[Tensor, Tensor]:
        features = self.vision(volume)
        return features.patches, features.pooled


def refuse_without_onnx() -> None:
    """Said before any work."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise SimcropError("missing-package", f"--onnx needs {', '.join(missing)}: pip install simcrop[onnx]")


def write_onnx(vision: VisionEncoder, recipe: Recipe, folder: Path) -> float:
    """Write both files, try what was written against the encoder itself, and say by how much they differ at most.

    Raises SimcropError of an encoder that ONNX has no words for, or whose answers it changes.
    """
    refuse_without_onnx()
    path, encoded = folder / ONNX, Encoded(vision).eval()
    drawn = torch.Generator().manual_seed(0)
    volume = torch.rand(2, 1, *vision.grid.volume, generator=drawn) * 2 - 1
    try:
        with quietly(), torch.no_grad():
            program: Any = torch.onnx.export(
                encoded,
                (volume,),
                dynamo=True,
                dynamic_shapes={"volume": {0: torch.export.Dim("batch", min=1)}},
                input_names=["volume"],
                output_names=["tokens", "embedding"],
                verbose=False,
            )
    except Exception as error:
        why = " ".join(str(error.__cause__ or error).split())[:200]
        raise SimcropError(
            "no-onnx", f"{type(vision).__name__} encoders like this cannot be written as ONNX: {why}"
        ) from error
    for value in (program.model.graph, *program.model.graph):
        value.metadata_props.clear()  # lines of source, with the folders of this machine
        value.doc_string = None
    with writing(path):
        large = sum(p.numel() * p.element_size() for p in vision.parameters()) > ONE_FILE
        program.save(path, external_data=large)
        for written in (path, folder / WEIGHTS):
            if written.is_file():
                flush(written)
    differs = largest_difference(encoded, path, drawn)
    if not differs < CLOSE:
        raise SimcropError(
            "no-onnx", f"the encoder written as ONNX answers otherwise, by {differs:.1e}: it is not exported"
        )
    write_json(folder / DESCRIBED, description(vision, recipe, path))
    return differs


def largest_difference(encoded: Encoded, path: Path, drawn: torch.Generator) -> float:
    """Between the file and the encoder, in inputs drawn at random, one and several at once."""
    import onnxruntime

    runtime: Any = onnxruntime
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    differences = []
    for count in BATCHES:
        volume = torch.rand(count, 1, *encoded.vision.grid.volume, generator=drawn) * 2 - 1
        with torch.no_grad():
            expected = encoded(volume)
        found = session.run(["tokens", "embedding"], {"volume": volume.numpy()})
        for there, here in zip(found, expected, strict=True):
            differences.append(np.abs(there - here.numpy()).max())
    return float(np.max(differences))  # which is no number where one of them is none


def description(vision: VisionEncoder, recipe: Recipe, path: Path) -> dict[str, Any]:
    """What a program must do before it, and what its numbers mean."""
    spec, grid = recipe.input.spec, vision.grid
    return {
        "file": ONNX,
        "sha256": digest_of_files(path),
        "input": {"name": "volume", "dtype": "float32", "shape": ["batch", 1, *grid.volume]},
        "outputs": {
            "tokens": {"dtype": "float32", "shape": ["batch", grid.count, vision.width]},
            "embedding": {"dtype": "float32", "shape": ["batch", vision.width], "is": "mean of the tokens"},
        },
        "preprocessing": {
            **recipe.input.model_dump(mode="json"),
            "axes": "x to the right, y to the front, z to the head (RAS+)",
            "steps": steps(spec.fit, spec.scale),
            "outside_the_scan_hu": -1000,
        },
        "tokens": {
            "grid": list(grid.shape),
            "order": "x slowest, z fastest",
            "centre_in_voxels": "(index + 0.5) * patch - 0.5, along each axis",
        },
    }


def steps(fit: str, scale: str) -> list[str]:
    """In words, one after the other."""
    cut = (
        "resize the whole scan to `shape`"
        if fit == "resize"
        else "resample to `spacing_mm`, then cut or pad with air to `shape`, around `centre`"
    )
    mapped = "the range of its values within `window_hu`" if scale == "minmax" else "`window_hu`"
    return [
        "voxels in Hounsfield units, axes turned to RAS+",
        cut,
        f"clip to `window_hu`, then map {mapped} to [-1, 1]",
    ]


@contextmanager
def quietly() -> Iterator[None]:
    """What the exporter says on the way is for those who write exporters."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
