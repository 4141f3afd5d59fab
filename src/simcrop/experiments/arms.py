"""The arms of a comparison: methods that differ in their objective only, trained alike.

No axes or units. Whatever an arm shares with the others comes from one recipe, so that it is written once.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simcrop.config import Recipe, load_recipe
from simcrop.engine.progress import Progress
from simcrop.tasks.training.pretrain import pretrain, untrained

BASE = "simcrop-plus-tiny"
SHARED = ("input", "init", "aug", "optim", "engine", "checkpoint")


@dataclass(frozen=True)
class Arm:
    """`settings` are changes to `recipe`, which otherwise shares everything with `base`; untrained: a random start.

    `seeds`: how many of the experiment's seeds it runs with; a control or a side question needs fewer.
    """

    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    trained: bool = True
    seeds: int | None = None
    base: str = BASE

    @property
    def key(self) -> str:
        """For file names."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.name.lower()).split())

    def build(self, seed: int, common: tuple[str, ...] = ()) -> Recipe:
        """Its recipe: the base's shared groups, what all arms of an experiment change (`common`), then its settings."""
        return load_recipe(self.recipe, self.overrides(seed, common))

    def overrides(self, seed: int, common: tuple[str, ...] = ()) -> list[str]:
        """What is changed of the recipe that it names."""
        base = load_recipe(self.base)
        own = load_recipe(self.recipe).architecture
        sizes = [name for name in base.architecture if name in own]
        shared = [] if self.recipe == self.base else [*SHARED, *sizes]
        taken = [f"{name}={json.dumps(getattr(base, name).model_dump(mode='json'))}" for name in shared]
        return [*taken, *common, *self.settings, f"seed={seed}"]


NO_IMAGES = ("align.cross_image=false",)
PRINTED = (*NO_IMAGES, "align.weight=1", "mlm.weight=1")  # Eq. 7: all terms weigh the same
RANDOM = Arm("Random init", BASE, trained=False)
MAE = Arm("MAE", "mae-tiny")
NO_SA = Arm("SimCroP without SA", BASE, (*PRINTED, "align.use_sa=false"))
PAPER = Arm("SimCroP paper", BASE, PRINTED)
PLUS = Arm("SimCroP plus", BASE)
CT_CLIP = Arm("CT-CLIP-like", "ct-clip-tiny")
MISPAIRED = Arm("SimCroP plus, mispaired scans", BASE, ("data.mispaired=true",), seeds=1)
PLAIN = ("vision.windows=[]", "vision.pos_embed=sincos3d", "init.position=sines")
FULL_ATTENTION = ("init.attention_out=1",)
MIXED = (*FULL_ATTENTION, "align.cross_image.skip_attention=0")
ATLAS = (*PLAIN, "vision.atlas=true")


def supervised(
    labels: Sequence[str],
    pool: str,
    input_settings: Sequence[str] = ATLAS,
    base: str = BASE,
    name: str = "Supervised",
) -> Arm:
    """A learnability check: the encoder taught the labels that are judged. As a rule it sees the atlas' distances, with
    which the lesions of an easy cohort are easiest to learn: the question is whether they can be learned at all.
    """
    named = ", ".join(f'"{label}"' for label in labels)
    settings = (*input_settings, f"head.labels=[{named}]", f"head.pool={pool}")
    return Arm(f"{name} {pool}", "supervised-tiny", settings, seeds=1, base=base)


def train(
    arm: Arm,
    cohort: Path,
    folder: Path,
    seed: int,
    common: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Path:
    """The arm's run folder, trained to its end: at once when it is there, continued when it was left half."""
    recipe = arm.build(seed, common)
    if not arm.trained:
        return folder if (folder / "model").is_dir() else untrained(cohort, recipe, folder)
    if (folder / "metrics.json").exists():
        return folder
    if not pretrain(
        cohort, recipe, folder, resume=(folder / "run.json").exists(), progress=progress
    ).finished:
        raise KeyboardInterrupt
    return folder
