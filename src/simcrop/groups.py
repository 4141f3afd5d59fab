"""Groups of settings that every run has beside those of its method. Lengths in mm or voxels `(x, y, z)`."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from simcrop.data.preprocess import Centre, Fit, InputSpec, Scale, paper
from simcrop.data.samples.tokenizer import REPORT_LENGTH, SENTENCE_LENGTH
from simcrop.nn.patch import PatchGrid
from simcrop.settings import Settings

Triple = tuple[int, int, int]


class InputSettings(Settings):
    """The network's input. Lengths in mm or voxels `(x, y, z)`: right, front, up.

    `antialias`: scans are averaged where their voxels grow, instead of plain trilinear interpolation; their cohort must
    have been ingested alike. `centre`: whether the input is cut around the middle of the scan, or around that of the
    lungs where they are found, which matters where patients lie differently in the field of view.

    `fit`: a crop at `spacing_mm`, or the whole scan resized to `shape`; `scale`: what becomes [-1, 1], the window, or
    of a whole scan the range of its own values in it. Training takes crops; the others are for imported encoders.
    """

    spacing_mm: tuple[float, float, float] = paper.spacing_mm
    shape: Triple = paper.shape
    window_hu: tuple[float, float] = paper.window_hu
    antialias: bool = paper.antialias
    centre: Centre = paper.centre
    fit: Fit = paper.fit
    scale: Scale = paper.scale
    patch: Triple = (16, 16, 8)

    @model_validator(mode="after")
    def fits_together(self) -> "InputSettings":
        """Both refuse what cannot be built."""
        _ = self.spec, self.grid
        return self

    @property
    def spec(self) -> InputSpec:
        return InputSpec(
            self.spacing_mm, self.shape, self.window_hu, self.antialias, self.centre, self.fit, self.scale
        )

    @property
    def grid(self) -> PatchGrid:
        return PatchGrid(self.shape, self.patch)

    @property
    def patch_mm(self) -> tuple[float, float, float]:
        """Edges of one patch."""
        x, y, z = (v * mm for v, mm in zip(self.patch, self.spacing_mm, strict=True))
        return x, y, z


class TextSettings(Settings):
    """`model`: `minilm`, the encoder that the package brings along, or a folder such as CXR-BERT's.

    Lengths in word pieces, specials included. `cache_sentences`: what is made of the reports, frozen features of
    sentences first of all, and the index are kept beside the cohort, where the next run and all loading processes map
    them.
    """

    free: ClassVar = frozenset({"cache_sentences"})

    model: str = "minilm"
    freeze: bool = True
    cache_sentences: bool = True
    report_length: int = Field(default=REPORT_LENGTH, ge=3, le=REPORT_LENGTH)
    sentence_length: int = Field(default=SENTENCE_LENGTH, ge=3, le=REPORT_LENGTH)


class InitSettings(Settings):
    """Where the encoder starts. `mae`: a safetensors file of a 2D MAE ViT; `patch_embed`: what becomes of its 2D patch
    embedding (`mean_inflate` sums the colours and spreads them over the depth; `skip` leaves ours; `pca` starts from
    the principal components of the cohort's own patches, with or without `mae`).

    `model`: a run or model folder whose vision encoder this one starts from; the other settings here are about another
    start and then not used.

    `position = centred`, for learned positions: from each is taken away what the embedding makes of the training scans'
    mean patch there, so that a token first says how a patch differs from what is usual at its place.

    `attention_out`: our extension: the output of each attention layer starts multiplied by this. At zero a layer adds
    nothing and every token speaks of its own patch at first, so that a sentence is tied to the patches that show its
    finding before tokens mix.
    """

    mae: str | None = None
    model: str | None = None
    patch_embed: Literal["mean_inflate", "skip", "pca"] = "mean_inflate"
    position: Literal["sines", "centred"] = "sines"
    attention_out: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def is_one_start(self) -> "InitSettings":
        if self.mae is not None and self.model is not None:
            raise ValueError("init.mae and init.model exclude one another: weights come from one place")
        return self


class AugSettings(Settings):
    """`crop`: where a larger scan is cut; `shifted`: in the centre, or by chance half a patch before it along an axis.
    Left-right flips are off: reports name sides."""

    crop: Literal["random", "centre", "shifted"] = "random"
    flip_lr: bool = False


class DataSettings(Settings):
    """`workers`: loading processes per training process, at most as many as it has cores. `split`: which studies to
    train on (empty: all); `share`: of their patients, drawn by the seed, so that a larger share holds the smaller one.

    `mispaired`: a control, never for use: each report is paired with the scan of another study, so that nothing about a
    scan can be learned from its report.

    `unreadable`: what share of the studies may turn out to be gone or damaged in the course of a run; each time another
    one takes the place, and the journal says so.
    """

    free: ClassVar = frozenset({"workers", "unreadable"})

    workers: int = Field(default=0, ge=0)
    unreadable: float = Field(default=0.001, ge=0, le=1)
    split: str = "train"
    share: float = Field(default=1.0, gt=0, le=1)
    mispaired: bool = False

    @field_validator("split", mode="before")
    @classmethod
    def empty_means_all(cls, value: object) -> object:
        """`--set data.split=` and a bare `split:` are nothing to YAML."""
        return "" if value is None else value


class LogSettings(Settings):
    """Where a run's curves are written beside its journal, into `logs/` of the run folder and nowhere else; each needs
    an extra of the package. W&B: `offline` alone, so that nothing is sent unless somebody sends it.
    """

    free: ClassVar = frozenset({"tensorboard", "wandb", "mlflow"})

    tensorboard: bool = False
    wandb: Literal["offline"] | None = None
    mlflow: bool = False

    @property
    def sinks(self) -> tuple[str, ...]:
        """Names of those that were asked for."""
        return tuple(name for name in ("tensorboard", "wandb", "mlflow") if getattr(self, name))
