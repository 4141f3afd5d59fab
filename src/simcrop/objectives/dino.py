"""DINO on crops of a scan: a student that sees little must answer as a teacher does that sees much. No report is read.

Axes: b study, n patch, d features, k answer (a prototype), g view of the teacher, v view of the student.

After Caron et al., Emerging Properties in Self-Supervised Vision Transformers, 2021: the teacher is a running mean of
the student, its answers are centred and sharpened, and the student's first views are the teacher's, never compared
with themselves. The 3D version: a view is a box of whole patches at its true place and scale, in another light. It is
not zoomed, since a scan knows its millimetres, nor mirrored, since a chest has sides; blur and solarisation are left
out. DINO reads the class token, we the mean of the patches, by which all models are judged.
"""

from collections.abc import Callable
from dataclasses import replace
from math import cos, pi
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from simcrop import losses
from simcrop.data.samples.batch import Batch
from simcrop.nn.encoder import VisionEncoder
from simcrop.nn.follower import follow, follower
from simcrop.nn.masking import Mask, box_mask
from simcrop.nn.patch import PatchGrid
from simcrop.nn.prototype_head import PrototypeHead, PrototypeSettings
from simcrop.objectives.draws import VIEW, Draws
from simcrop.objectives.method import Account, MethodSettings, Objective, Term
from simcrop.objectives.needs import Components
from simcrop.settings import Settings

LARGE = 2  # views that the teacher sees, too
Triple = tuple[int, int, int]


class ViewSettings(Settings):
    """`small`: how many views only the student sees; `large_share` and `small_share`: of the input, the largest box of
    whole patches about that large with edges in its proportion. `jitter`: each view times 1 plus or minus this, and
    plus or minus this on the [-1, 1] scale. `pool`: what answers for a view; `cls` is DINO's own.
    """

    small: int = Field(default=8, ge=0)
    large_share: float = Field(default=0.5, gt=0, le=1)
    small_share: float = Field(default=0.08, gt=0, le=1)
    jitter: float = Field(default=0.1, ge=0, lt=1)
    pool: Literal["mean", "cls"] = "mean"

    def sizes(self, shape: Triple) -> list[Triple]:
        """Patches of each view along x, y and z, the large ones first."""
        return [box_of(shape, self.large_share)] * LARGE + [box_of(shape, self.small_share)] * self.small


class TeacherSettings(Settings):
    """`momentum`: what the teacher keeps of itself in the first step, on half a cosine up to 1 in the last; DINO
    advises more where batches are small. `centre_momentum`: the same of its mean answer, which is taken away.
    `temperature`: of its answers, at first and after `warmup_epochs`; `student_temperature`: of the student's.
    """

    momentum: float = Field(default=0.996, ge=0, le=1)
    centre_momentum: float = Field(default=0.9, ge=0, lt=1)
    temperature: tuple[float, float] = (0.04, 0.07)
    warmup_epochs: float = Field(default=30, ge=0)
    student_temperature: float = Field(default=0.1, gt=0)

    @model_validator(mode="after")
    def is_warm(self) -> "TeacherSettings":
        if min(self.temperature) <= 0:
            raise ValueError("temperature must be above 0")
        return self

    def momentum_at(self, share: float) -> float:
        """When this share of the run is over."""
        return 1 - (1 - self.momentum) * (1 + cos(pi * share)) / 2

    def temperature_at(self, epoch: float) -> float:
        first, last = self.temperature
        return last if epoch >= self.warmup_epochs else first + (last - first) * epoch / self.warmup_epochs


class DinoSettings(MethodSettings):
    """Encoder, views, head and teacher. A model for use is the teacher's encoder."""

    name: ClassVar[str] = "dino"
    account: ClassVar[Account] = Account(
        hides="all of the scan but a box, from the student",
        contrasts="boxes of one scan are answered alike; a centre in place of other scans",
        source="Caron 2021",
    )

    views: ViewSettings = ViewSettings()
    head: PrototypeSettings = PrototypeSettings()
    teacher: TeacherSettings = TeacherSettings()

    @model_validator(mode="after")
    def has_what_answers(self) -> "DinoSettings":
        if self.views.pool == "cls" and not self.vision.cls_token:
            raise ValueError("views.pool = cls needs vision.cls_token = true")
        return self

    def build(self, components: Components) -> "Dino":
        return Dino(self, components.grid)

    def kept_as(self, name: str) -> str | None:
        return name.removeprefix("teacher.") if name.startswith("teacher.vision.") else None


class Dino(Objective):
    """One term, `views`, and a control without weight: where it comes near `entropy`, all scans are answered alike."""

    center: Tensor
    answered: Tensor

    def __init__(self, settings: DinoSettings, grid: PatchGrid) -> None:
        super().__init__()
        self.settings, self.grid = settings, grid
        self.vision = settings.vision.build(grid)
        self.head = PrototypeHead(settings.head, self.vision.width)
        self.teacher = follower(self.student)
        outputs = settings.head.outputs
        self.register_buffer("center", torch.zeros(outputs))
        # Sum of the teacher's answers in this step, and behind it their number.
        self.register_buffer("answered", torch.zeros(outputs + 1), persistent=False)
        self.begins(0.0, 1)

    @property
    def student(self) -> nn.ModuleDict:
        """What the teacher follows."""
        return nn.ModuleDict({"vision": self.vision, "head": self.head})

    @property
    def terms(self) -> dict[str, Term]:
        return {
            "views": Term(1.0, "the teacher's answer to a large view, guessed from another view"),
            "entropy": Term(0.0, "of the teacher's answers, in nats, a control: views must stay above it"),
        }

    @property
    def skips_parameters(self) -> bool:
        return self.settings.head.frozen_epochs > 0

    def started(self) -> None:
        self.teacher.load_state_dict(self.student.state_dict())

    def begins(self, epoch: float, epochs: int) -> None:
        del epochs
        self.frozen = epoch < self.settings.head.frozen_epochs
        self.temperature = self.settings.teacher.temperature_at(epoch)
        self.answered.zero_()

    @torch.no_grad()
    def ends(self, epoch: float, epochs: int, total: Callable[[Tensor], Tensor]) -> None:
        teacher, answered = self.settings.teacher, total(self.answered)
        follow(self.teacher, self.student, teacher.momentum_at(epoch / epochs))
        self.center.lerp_(answered[:-1] / answered[-1], 1 - teacher.centre_momentum)

    def draw(self, batch: Batch, seed: int, first: int = 0) -> Batch:
        """Of each view its corner, in patches, and its light."""
        shape, jitter = self.vision.grid.shape, self.settings.views.jitter
        sizes = self.settings.views.sizes(shape)
        drawn = Draws(batch, seed, first).uniform(VIEW, len(sizes), 5)
        room = torch.tensor(shape) - torch.tensor(sizes) + 1
        light = (drawn[..., 3:] * 2 - 1) * jitter
        return replace(batch, drawn={"corner": (drawn[..., :3] * room).long(), "light": light})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        student, teacher = [], []
        for number, size in enumerate(self.settings.views.sizes(self.vision.grid.shape)):
            volume = relit(batch.volume, batch.drawn["light"][:, number])
            mask = box_mask(self.vision.grid.shape, size, batch.drawn["corner"][:, number])
            student.append(self.head(self.pooled(self.vision, volume, mask), self.frozen).float())
            if number < LARGE:
                teacher.append(self.taught(volume, mask))

        answers = torch.stack(teacher)
        self.answered[:-1] += answers.sum((0, 1))
        self.answered[-1] += LARGE * len(batch)
        log_chance = ((answers - self.center) / self.temperature).log_softmax(-1)
        guessed = (torch.stack(student) / self.settings.teacher.student_temperature).log_softmax(-1)
        entropy = -(log_chance.exp() * log_chance).sum(-1).mean()
        return {"views": view_cross_entropy(log_chance.exp(), guessed), "entropy": entropy}

    @torch.no_grad()
    def taught(self, volume: Float[Tensor, "b 1 x y z"], mask: Mask) -> Float[Tensor, "b k"]:
        """The teacher's answers."""
        vision, head = self.teacher["vision"], self.teacher["head"]  # type: ignore[index]
        return head(self.pooled(vision, volume, mask)).float()

    def pooled(
        self, vision: VisionEncoder, volume: Float[Tensor, "b 1 x y z"], mask: Mask
    ) -> Float[Tensor, "b d"]:
        features = vision(volume, mask)
        if self.settings.views.pool == "cls" and features.cls is not None:
            return features.cls
        return features.pooled


def box_of(shape: Triple, share: float) -> Triple:
    x, y, z = (max(1, round(n * share ** (1 / 3))) for n in shape)
    return x, y, z


def relit(volume: Float[Tensor, "b 1 x y z"], light: Float[Tensor, "b 2"]) -> Float[Tensor, "b 1 x y z"]:
    """With more or less contrast, brighter or darker; still in [-1, 1]."""
    contrast, brightness = (part[:, None, None, None, None] for part in light.unbind(1))
    return (volume * (1 + contrast) + brightness).clamp(-1, 1)


def view_cross_entropy(
    chance: Float[Tensor, "g b k"], log_guessed: Float[Tensor, "v b k"]
) -> Float[Tensor, ""]:
    """Mean over studies and over all pairs of a teacher's view and another one of the student; the student's first
    views are the teacher's, in their order.
    """
    cost = -losses.products(chance, log_guessed, "g b k, v b k -> g v b").mean(-1)
    own = torch.eye(*cost.shape, dtype=torch.bool, device=cost.device)
    return cost.masked_fill(own, 0).sum() / (cost.numel() - min(cost.shape))
