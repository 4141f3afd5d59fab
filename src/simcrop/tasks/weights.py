"""`simcrop weights import`: downloaded weights in a folder of their own that a recipe can name, or that is a model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from simcrop.config import build_recipe
from simcrop.files.digest import digest_of_files
from simcrop.model.folder import describe_model, save_model
from simcrop.tasks.folder import staged, write_metrics
from simcrop.weights.convert import check_source, convert
from simcrop.weights.m3d import read_m3d
from simcrop.weights.released import Released, read_released

RELEASED = {
    "origin": "released",
    "called": "an encoder of the authors' released weights, a file without a text side,",
    "trained_on": "CT-RATE, as its paper says",
    "data_licence": "CT-RATE: CC BY-NC-SA 4.0, no redistribution",
    "code_licence": "the authors' repository: Apache-2.0; of the weights themselves: not stated in the file",
}
M3D = {
    "origin": "m3d",
    "called": "an encoder of M3D-CLIP's official weights, imported without their text side,",
    "trained_on": "M3D-Cap, as its paper says",
    "data_licence": "M3D-Cap is pictures and reports of Radiopaedia: its terms, not stated in the file",
    "code_licence": "of the weights themselves: not stated in the file",
}


@dataclass(frozen=True)
class Foreign:
    """A kind of file that becomes a model. `facts`: of its provenance; `sees`: how its input differs from the paper's,
    beside its size; `use`: what takes it and what cannot.
    """

    read: Callable[[Path], Released]
    facts: dict[str, str]
    sees: dict[str, str]
    use: str


MODELS = {
    "released": Foreign(
        read_released,
        RELEASED,
        {},
        "it holds no text side: embed, probe and fine-tuning (--set init.model={out}) take it; "
        "ground, zero-shot and retrieve cannot",
    ),
    "m3d": Foreign(
        read_m3d,
        M3D,
        {"fit": "resize", "scale": "minmax"},
        "its text side is left aside: embed and probe take it; ground, zero-shot and retrieve cannot",
    ),
}


def import_weights(kind: str, file: Path, out: Path, overwrite: bool = False) -> str:
    """Convert, read back, and only then show; a line that says what to do with the result."""
    with staged(out, "weights import", {"kind": kind, "source": str(file)}, overwrite) as stage:
        check_source(kind, file)
        found: dict[str, Any] = {}
        if foreign := MODELS.get(kind):
            released = foreign.read(file)
            found = accounted(released)
            message = f"{described(released)}; {foreign.use.format(out=out)}"
            write_model(released, foreign, file, stage)
        else:
            message = convert(kind, file, stage).replace(str(stage), str(out))
        (weights,) = stage.glob("*.safetensors")
        with safe_open(weights, "pt") as content:
            tensors = len(content.keys())
        write_metrics(stage, {"tensors": tensors, "bytes": weights.stat().st_size, **found})
    return message


def write_model(released: Released, foreign: Foreign, file: Path, folder: Path) -> None:
    """A model folder with the input that it learned from, of a method that learns from volumes alone."""
    encoder = released.encoder
    tree = {
        "method": "mae",
        "input": {"shape": encoder.grid.volume, "patch": encoder.grid.patch, **foreign.sees},
        "vision": encoder.settings.model_dump(),
    }
    recipe = build_recipe(tree, str(file))
    save_model({f"vision.{name}": tensor for name, tensor in encoder.state_dict().items()}, recipe, folder)
    left = {"notes": released.notes, "skipped": released.skipped_groups}
    provenance = {**foreign.facts, "sha256": digest_of_files(file), **left}
    describe_model(recipe, None, None, provenance, folder)


def accounted(released: Released) -> dict[str, Any]:
    """Every tensor of the file: what it is called here, or that it was left aside."""
    return {"renamed": released.renamed, "skipped": released.skipped, "notes": released.notes}


def described(released: Released) -> str:
    """What it is, and what became of the file's tensors, in one line."""
    settings, grid = released.encoder.settings, released.encoder.grid
    x, y, z = grid.volume
    groups = ", ".join(f"{name} ({count})" for name, count in released.skipped_groups.items())
    return "; ".join(
        [
            f"an encoder of {settings.depth} blocks of {settings.dim} features for {x} x {y} x {z} voxels, "
            f"vision.pos_embed = {settings.pos_embed}",
            f"{len(released.renamed)} tensors loaded, {len(released.skipped)} skipped{': ' * bool(groups)}{groups}",
            *released.notes,
        ]
    )
