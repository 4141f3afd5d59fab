"""Small models that were moved as training would, in run folders that name places which must not leave the machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SECRET = "saint-zebrafinch-hospital"  # a folder that a cohort, a text encoder or a start may lie in

PLAIN: dict[str, Any] = {
    "input": {"spacing_mm": [14, 12, 24], "shape": [24, 28, 15], "patch": [6, 4, 5]},
    "vision": {"depth": 1, "dim": 36, "heads": 3},
    "vision_decoder": {"depth": 1, "dim": 30, "heads": 2},
    "report_decoder": {"depth": 1, "dim": 20, "heads": 5, "hidden": 44},
    "fusion": {"heads": 4},
    "align": {"top_k": 5},
    "text": {"report_length": 64, "sentence_length": 40},
}


@pytest.fixture(scope="session")
def small_run(write_bert: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a run folder: `change` goes into its recipe, `provenance` into its model. `embedded`: with MiniLM."""

    def write(
        run: Path, embedded: bool = False, provenance: dict[str, Any] | None = None, **change: Any
    ) -> Path:
        import torch

        from simcrop.config import build_recipe
        from simcrop.data.samples.tokenizer import Tokenizer
        from simcrop.engine.checkpoint import trained_state
        from simcrop.model.folder import describe_model, save_model
        from simcrop.nn.text_encoder import read_text_encoder
        from simcrop.objectives.simcrop import SimCroP
        from simcrop.weights.embedded import text_encoder_folder

        bert = text_encoder_folder("minilm") if embedded else write_bert(run / SECRET / "bert")
        text = {**PLAIN["text"], "model": "minilm" if embedded else str(bert)}
        recipe = build_recipe({**PLAIN, **change, "text": text}, "toy")
        torch.manual_seed(2)
        objective = SimCroP(recipe, recipe.input.grid, read_text_encoder(bert), Tokenizer.load(bert))
        with torch.no_grad():
            for parameter in objective.parameters():
                if parameter.requires_grad:
                    parameter += 0.05 * torch.randn_like(parameter)
        (run / "model").mkdir(parents=True)
        save_model(trained_state(objective), recipe, run / "model")
        start = {"source": f"init.model = /data/{SECRET}/run", "sha256": "ab" * 32, "parent": None}
        told = {"cohort": "cd" * 32, "studies": 7, "start": start, "layout": "ct-rate", **(provenance or {})}
        describe_model(recipe, objective.text, objective.tokenizer, told, run / "model")
        (run / "metrics.json").write_text(json.dumps({"steps": 3, "loss_first": 9.0, "loss_last": 8.0}))
        run_json = {"verb": "pretrain", "settings": {}, "command": ["simcrop", "pretrain", f"/data/{SECRET}"]}
        (run / "run.json").write_text(json.dumps(run_json))
        return run

    return write


@pytest.fixture(scope="session")
def run(small_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with a text side of its own. Nobody may change it."""
    return small_run(tmp_path_factory.mktemp("small") / "run", provenance={"data_licence": "CC BY 4.0"})


@pytest.fixture(scope="session")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as others get it. Nobody may change it."""
    from simcrop.tasks.sharing.card import CardOptions
    from simcrop.tasks.sharing.export import export

    out = tmp_path_factory.mktemp("exported") / "model"
    export(str(run), out, CardOptions(licence="apache-2.0"))
    return out


@pytest.fixture(scope="session")
def chest_file(
    scan: Callable[..., Any], save: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A scan."""
    return save(tmp_path_factory.mktemp("chest") / "ct.nii.gz", scan(0))
