"""A toy that the engine can train, medical in nothing: lines of numbers whose sum is to be guessed."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from simcrop.engine.checkpoint import CheckpointSettings
from simcrop.engine.job import EngineSettings, Job
from simcrop.engine.optim import OptimSettings
from simcrop.engine.order import SampleDraw


@dataclass(frozen=True)
class Lines:
    """`ids`: names; `x`: b x 4 numbers; `noise`: what is random about them."""

    ids: tuple[str, ...]
    x: Tensor
    noise: Tensor | None = None

    def to(self, device: torch.device) -> "Lines":
        return replace(self, x=self.x.to(device))


class LineData(Dataset):
    """Eleven lines; those in `broken` hold a NaN."""

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        self.broken = broken

    def __len__(self) -> int:
        return 11

    def __getitem__(self, draw: SampleDraw) -> tuple[str, Tensor]:
        x = torch.randn(4, generator=torch.Generator().manual_seed(draw.seed))
        return f"line-{draw.index}", x * float("nan") if draw.index in self.broken else x


@dataclass(frozen=True)
class Weighed:
    """All that the engine asks of a term."""

    weight: float
    compares_samples: bool = False


class Sum(nn.Module):
    """Guesses the sum of a line; `shaky` asks both kinds of randomness."""

    def __init__(self, shaky: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shaky = shaky
        self.layers = nn.Sequential(nn.Linear(4, 7), nn.GELU(), nn.Linear(7, 1))
        self.spare = nn.Linear(2, 3)  # trained by no term, as parts of an ablated method are

    @property
    def terms(self) -> dict[str, Weighed]:
        return {"guess": Weighed(2.0), "small": Weighed(0.5)}

    @property
    def skips_parameters(self) -> bool:
        return True

    def draw(self, batch: Lines, seed: int, first: int) -> Lines:
        generator = torch.Generator().manual_seed((seed + first) % 2**63)
        return replace(batch, noise=torch.randn(batch.x.shape, generator=generator))

    def counts(self, batch: Lines) -> dict[str, int]:
        return {"guess": len(batch.x), "small": len(batch.x)}

    def forward(self, batch: Lines) -> dict[str, Tensor]:
        x = batch.x
        if self.shaky:
            assert batch.noise is not None
            x = nn.functional.dropout(x, 0.2) + 0.01 * batch.noise
        guess = self.layers(x)[:, 0].float()
        return {"guess": (guess - batch.x.sum(1)).square().mean(), "small": guess.square().mean()}


def collate(samples: list[tuple[str, Tensor]]) -> Lines:
    return Lines(tuple(name for name, _ in samples), torch.stack([x for _, x in samples]))


def describe(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


class StopAt:
    """Progress that sends this process a signal once a step is done."""

    def __init__(self, step: int, number: int = signal.SIGINT) -> None:
        self.step, self.number = step, number

    def __call__(self, done: int, total: int, words: str) -> None:
        assert 0 < done <= total
        assert "volumes/s" in words
        if done == self.step:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def stop_at() -> type[StopAt]:
    return StopAt


@pytest.fixture
def toy() -> Callable[..., Sum]:
    return Sum


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """A job in a folder below `tmp_path`; keywords change its settings."""

    def build(
        name: str, broken: tuple[int, ...] = (), every: int = 4, micro: int | None = None, **optim: Any
    ) -> Job:
        chosen = {"lr": 0.01, "batch": 6, "epochs": 11, "warmup_epochs": 1, **optim}
        (tmp_path / name).mkdir(exist_ok=True)
        return Job(
            dataset=LineData(broken),
            collate=collate,
            folder=tmp_path / name,
            describe=describe,
            seed=3,
            optim=OptimSettings(**chosen),
            engine=EngineSettings(precision="fp32", micro_batch=micro),
            checkpoint=CheckpointSettings(every=every, keep=2),
        )

    return build
