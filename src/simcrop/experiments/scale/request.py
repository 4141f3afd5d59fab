"""What is planned: so many scans, so many GPUs of a kind, a recipe. What cannot be is one line. No axes or units."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from simcrop.config import Recipe, load_recipe
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.job import EngineSettings, share_of
from simcrop.errors import SimcropError
from simcrop.experiments.speeds import Device, speeds
from simcrop.tasks.training.cost import SCANS, without_weights
from simcrop.tasks.training.job import refuse_graphs_of_nothing, refuse_lone, refuse_repeats
from simcrop.tasks.training.typical import typical


@dataclass(frozen=True)
class PlanRequest:
    """`recipe` with the epochs that were asked for; `scans`: to pre-train on."""

    scans: int
    gpus: int
    kind: str
    recipe: Recipe
    recipe_name: str

    @property
    def device(self) -> Device:
        return speeds().device(self.kind)

    @property
    def batch(self) -> int:
        """On one GPU in a step."""
        return self.recipe.optim.batch // self.gpus

    @property
    def samples(self) -> int:
        """Scans that are seen, with repetition."""
        optim = self.recipe.optim
        every = optim.epochs * self.scans
        return every if optim.steps is None else min(every, optim.steps * optim.batch)


def request_of(
    scans: int, gpus: str, recipe: str, epochs: int | None = None, changes: Sequence[str] = ()
) -> PlanRequest:
    """Raises SimcropError."""
    if scans < 1:
        raise SimcropError("bad-setting", f"--scans {scans}: there must be one at least")
    if epochs is not None and epochs < 1:
        raise SimcropError("bad-setting", f"--epochs {epochs}: there must be one at least")
    count, kind = cards(gpus)
    speeds().device(kind)
    built = load_recipe(recipe, list(changes))
    if built.verb != "pretrain":
        raise SimcropError(
            "bad-setting", f"--recipe {recipe} is trained by `simcrop {built.verb}`: plan is for pretrain"
        )
    refuse_what_was_not_measured(built.engine)
    if epochs is not None:  # the warm-up, which need not fit any more, costs what any other step costs
        built = built.model_copy(update={"optim": built.optim.model_copy(update={"epochs": epochs})})
    if built.optim.batch % count:
        more = -(-built.optim.batch // count) * count
        raise SimcropError(
            "bad-setting",
            f"--gpus {gpus}: optim.batch = {built.optim.batch} cannot be shared by {count} GPUs; "
            f"--set optim.batch={more}, for example",
        )
    share_of(built.optim, built.engine, DistributedContext(0, count, torch.device("cpu")))
    refuse_what_would_not_train(built, scans)
    return PlanRequest(scans, count, kind, built, recipe)


def refuse_what_would_not_train(recipe: Recipe, scans: int) -> None:
    """What training itself would refuse once it has built the network, which takes a second and is mostly needless."""
    lone = min(scans, recipe.optim.batch) == 1
    if lone or scans < recipe.optim.batch or recipe.engine.cuda_graphs:
        objective = without_weights(typical(recipe, SCANS))
        if lone:
            refuse_lone(f"--scans {scans}", recipe, objective)
        refuse_graphs_of_nothing(objective, recipe.engine)
        refuse_repeats(f"--scans {scans}", scans, recipe, objective)


def refuse_what_was_not_measured(engine: EngineSettings) -> None:
    """Settings of a training that change what it takes, by how much nobody has measured."""
    asked = {"precision = fp32": engine.precision == "fp32", "sharding = full": engine.sharding == "full"}
    if found := [words for words, is_so in asked.items() if is_so]:
        raise SimcropError(
            "bad-setting",
            f"engine.{found[0]}: what that takes on a GPU was not measured; plan counts in bf16, with all parameters "
            "on every GPU",
        )


def cards(words: str) -> tuple[int, str]:
    """`8xh200`."""
    found = re.fullmatch(r"(-?\d+)x(\S+)", words.strip().lower())
    if not found:
        raise SimcropError("bad-setting", f"--gpus {words}: expected a number, x and a kind, such as 8xh200")
    count = int(found[1])
    if count < 1:
        raise SimcropError("bad-setting", f"--gpus {words}: there must be one at least")
    return count, found[2]
