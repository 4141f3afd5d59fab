"""`simcrop weights import`: downloaded weights in a folder of their own that a recipe can name."""

from pathlib import Path

from safetensors import safe_open

from simcrop.tasks.folder import staged, write_metrics
from simcrop.weights.convert import convert


def import_weights(kind: str, file: Path, out: Path, overwrite: bool = False) -> str:
    """Convert, read back, and only then show; a line that says what to do with the result."""
    with staged(out, "weights import", {"kind": kind, "source": str(file)}, overwrite) as stage:
        message = convert(kind, file, stage).replace(str(stage), str(out))
        (weights,) = stage.glob("*.safetensors")
        with safe_open(weights, "pt") as content:
            write_metrics(stage, {"tensors": len(content.keys()), "bytes": weights.stat().st_size})
    return message
