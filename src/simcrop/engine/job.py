"""One training run, as the engine is told of it: data, folder, settings. Steps and batches, no units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator
from torch.utils.data import Dataset

from simcrop.engine.checkpoint import CheckpointSettings, Describe
from simcrop.engine.distributed import DistributedContext, Sharding
from simcrop.engine.monitor import Monitor
from simcrop.engine.optim import OptimSettings
from simcrop.engine.order import RankShare, SampleOrder
from simcrop.engine.precision import Precision
from simcrop.engine.sinks import OpenSink
from simcrop.errors import AgreedError, SimcropError
from simcrop.settings import Settings


class EngineSettings(Settings):
    """`precision`: of the products; auto is bf16 where the device has instructions for it, and fp32 elsewhere. A run
    keeps what it began with.

    `sharding`: of parameters and optimiser over processes: `none`, each holds them all (DDP), or `full`, each holds its
    part and more is sent to and fro (FSDP2).

    `micro_batch`: samples per forward pass and process, all of the process's share when not set; what is learned stays
    the same, but where samples are compared each micro-batch is looked at twice. `recompute`: less memory for about an
    eighth more time. `compile`: transformer blocks as compiled kernels, faster on a card after a slow first step; a
    processor needs a C++ compiler for it. `cuda_graphs`: what vision transformers launch on a card is recorded once and
    replayed, faster where a card has few samples; not where layers are tapped, as fvlm and segment do, and not with
    `recompute` or `sharding: full`. `monitor`: how often a run is measured in the course of its training, the last time
    at its end, where its method has something to measure.
    `skip_non_finite`: so many steps of a run whose loss or gradient is not finite change nothing; the next ends it.
    `stalled_minutes`: a step that takes longer has every process write where it is; 0 never.
    """

    free: ClassVar = frozenset(
        {
            *("sharding", "micro_batch", "recompute", "cuda_graphs", "monitor", "skip_non_finite"),
            "stalled_minutes",
        }
    )

    precision: Literal["auto"] | Precision = "auto"
    sharding: Sharding = "none"
    micro_batch: int | None = Field(default=None, ge=1)
    recompute: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    monitor: int = Field(default=5, ge=0)
    skip_non_finite: int = Field(default=0, ge=0)
    stalled_minutes: float = Field(default=20, ge=0)

    @model_validator(mode="after")
    def graphs_stay_where_they_are(self) -> "EngineSettings":
        """A graph keeps its activations and reads parameters where they lay when it was made."""
        if self.cuda_graphs and (self.recompute or self.sharding == "full"):
            other = "engine.recompute" if self.recompute else "engine.sharding = full"
            raise SimcropError(
                "bad-setting", f"engine.cuda_graphs and {other} do not go together: choose one"
            )
        return self


@dataclass(frozen=True)
class Job:
    """One training run. `dataset[draw]` gives a sample, `collate` a batch with `.ids` and `.to(device)`, `monitor`
    figures that no batch gives. `unreadable`: what share of the data set may turn out to be so; a batch names what was
    replaced in `.unread`. `studies`: so many of those names there are, where the data set gives several samples of
    each. `flops`: of a sample, forward and backward, where they were counted; `sinks`: what is told
    every row beside the journal. For the records, `start`: its first weights, and `facts`: what else is to be known of
    it.
    """

    dataset: Dataset
    collate: Any
    folder: Path
    describe: Describe
    seed: int
    optim: OptimSettings
    engine: EngineSettings
    checkpoint: CheckpointSettings
    workers: int = 0
    unreadable: float = 0.0
    studies: int | None = None
    monitor: Monitor | None = None
    flops: float | None = None
    sinks: Sequence[OpenSink] = ()
    start: dict[str, Any] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def order(self) -> SampleOrder:
        return SampleOrder(len(self.dataset), self.optim.batch, self.seed)  # type: ignore[arg-type]

    @property
    def whole(self) -> int:
        """Steps of all epochs."""
        return ceil(self.optim.epochs * self.order.count / self.optim.batch)

    @property
    def steps(self) -> int:
        return min(self.whole, self.optim.steps or self.whole)

    @property
    def cut_short(self) -> str:
        """Which of two ends comes first, where the steps that were asked for lie beyond the epochs; else nothing."""
        if self.optim.steps is None or self.optim.steps <= self.whole:
            return ""
        return (
            f"optim.epochs = {self.optim.epochs} ends the run after step {self.whole}, "
            f"before optim.steps = {self.optim.steps}; for more steps set optim.epochs higher"
        )

    def share(self, context: DistributedContext) -> RankShare:
        return share_of(self.optim, self.engine, context)


def share_of(optim: OptimSettings, engine: EngineSettings, context: DistributedContext) -> RankShare:
    """This process's part of each batch. Raises SimcropError where it cannot be shared evenly."""
    per_process, rest = divmod(optim.batch, context.world)
    micro = engine.micro_batch or per_process
    if rest or per_process % micro:
        shared = f"cannot be shared by {context.world} processes in micro-batches of {micro}"
        raise AgreedError("bad-setting", f"optim.batch = {optim.batch} {shared}")
    return RankShare(context.rank, context.world, micro)
