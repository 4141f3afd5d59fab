"""`simcrop bundle`: one folder with all that a model needs where there is no network, each file by its checksum.

No axes or units.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.files.whole import write_whole
from simcrop.model.folder import model_folder, read_config
from simcrop.model.manifest import write_manifest
from simcrop.model.model import Model
from simcrop.model.onnx_encoder import DESCRIBED, ONNX, WEIGHTS
from simcrop.model.portable import load_any, write_portable
from simcrop.tasks.features.cohort_features import model_digest
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.sharing.card import CARD
from simcrop.tasks.sharing.export import is_inside

ALONG = (CARD, ONNX, WEIGHTS, DESCRIBED)  # of an exported model
MINILM = (
    "`text/` is all-MiniLM-L6-v2 (sentence-transformers), under the Apache License 2.0, "
    "https://www.apache.org/licenses/LICENSE-2.0: its tensors are unchanged, its files were written anew.\n"
)


@dataclass(frozen=True)
class Bundled:
    files: int
    bytes: int


def bundle(model: str, out: Path, overwrite: bool = False) -> Bundled:
    """Write the model, its text encoder and tokenizer, and `sha256.json`, which `simcrop.load` holds them to."""
    folder = model_folder(Path(model))
    if is_inside(out, folder):
        raise SimcropError("bad-out", f"{out} lies in the model that is bundled; choose another --out")
    with staged(out, "bundle", {"model": model_digest(folder)}, overwrite) as stage:
        network = write_portable(folder, stage, carry_text=True)
        for name in ALONG:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, stage / name)
        embedded = read_config(stage)["text_encoder"] == "minilm"
        if isinstance(network, Model) and embedded:
            write_whole(stage / "text" / "NOTICE.md", MINILM.encode())
        write_manifest(stage)
        load_any(model_folder(stage))  # held to its checksums before it is shown
        files = [path for path in stage.rglob("*") if path.is_file()]
        done = Bundled(len(files), sum(path.stat().st_size for path in files))
        write_metrics(stage, {"files": done.files, "bytes": done.bytes})
    return done
