"""`simcrop export`: a run becomes a folder for others, with its card, and perhaps its encoder as ONNX.

No axes or units. Nothing in it says where anything lay or whose it was.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcrop.engine.checkpoint import STATE, read_step
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.files.whole import read_json, write_whole
from simcrop.model.folder import CONFIG, WEIGHTS, model_folder, read_config
from simcrop.model.onnx_encoder import refuse_without_onnx, write_onnx
from simcrop.model.portable import write_portable
from simcrop.tasks.features.cohort_features import model_digest
from simcrop.tasks.folder import METRICS, MODEL, read_run, staged, write_metrics
from simcrop.tasks.sharing.card import CARD, CardOptions, Told, licences_of, write_card
from simcrop.tasks.sharing.card_results import judged_by_itself, read_results

TRAINING = {"pretrain", "segment"}  # verbs that end with a model


@dataclass(frozen=True)
class Exported:
    """`differs`: by how much the ONNX encoder's features differ at most, None where none was written."""

    folder: Path
    parameters: int
    differs: float | None


def export(
    run: str, out: Path, options: CardOptions | None = None, onnx: bool = False, overwrite: bool = False
) -> Exported:
    """Write `README.md`, `config.json`, `model.safetensors` and the text side; with `onnx` the encoder alone, too."""
    options = options or CardOptions()
    if onnx:
        refuse_without_onnx()
    folder = model_folder(Path(run))
    config = read_config(folder)
    origin = config.get("provenance") or {}
    licence, data_licence = licences_of(options, origin)
    digests = {model_digest(folder), str(origin.get("exported_from"))}
    metrics = metrics_of_run(folder)
    results = [*judged_by_itself(metrics), *(read_results(of, digests) for of in options.results)]
    if is_inside(out, folder):
        raise SimcropError("bad-out", f"{out} lies in the model that is exported; choose another --out")
    settings = {"model": model_digest(folder), "licence": licence, "data_licence": data_licence, "onnx": onnx}
    with staged(out, "export", settings, overwrite) as stage:
        network = write_portable(folder, stage)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        differs = None
        if onnx:
            differs = write_onnx(network.vision, network.recipe, stage)
        told = Told(
            network.recipe,
            read_config(stage),
            {"parameters": parameters},
            licence,
            data_licence,
            results,
            trained_of(metrics),
            onnx,
        )
        write_whole(stage / CARD, write_card(told).encode())
        write_metrics(stage, figures(stage, parameters, differs))
    return Exported(out, parameters, differs)


def figures(stage: Path, parameters: int, differs: float | None) -> dict[str, Any]:
    """`metrics.json`."""
    return {
        "parameters": parameters,
        "bytes": sum(path.stat().st_size for path in stage.rglob("*") if path.is_file()),
        "model": digest_of_files(stage / WEIGHTS, stage / CONFIG),
        **({} if differs is None else {"onnx_differs": differs}),
    }


def metrics_of_run(folder: Path) -> dict[str, Any]:
    """What a run found of the model that it ended with; of a checkpoint its step, of a model that lies alone nothing.

    Runs of before `run.json` named their model are taken at their word.
    """
    here = folder.absolute()
    if (here / STATE).is_file():
        return {"steps": read_step(here)}
    run = read_run(here.parent) if here.name == "model" else None
    if run is None or run["verb"] not in TRAINING or run.get(MODEL, model_digest(here)) != model_digest(here):
        return {}
    try:
        return read_json(here.parent / METRICS)
    except (OSError, ValueError):
        return {}


def trained_of(metrics: dict[str, Any]) -> dict[str, Any]:
    """The part that is about its training."""
    found = metrics.get("training", metrics)  # of a segmentation
    return found if isinstance(found, dict) and "steps" in found else {}


def is_inside(out: Path, folder: Path) -> bool:
    return out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents
