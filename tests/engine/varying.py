"""`python varying.py FOLDER`: trains on batches of varying size and prints its resident MB after each step."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.utils.data import Dataset

from simcrop.engine.checkpoint import CheckpointSettings
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.fit import fit
from simcrop.engine.job import EngineSettings, Job
from simcrop.engine.optim import OptimSettings
from simcrop.engine.order import SampleDraw
from simcrop.objectives.method import Term

STEPS = 300
WIDTH, LEAST, MOST = 12, 1_500, 30_000  # rows of a batch: reports differ in length and in number of sentences


@dataclass(frozen=True)
class Rows:
    ids: tuple[str, ...]
    values: Tensor
    noise: Tensor | None = None

    def to(self, device: torch.device) -> "Rows":
        return replace(self, values=self.values.to(device))


class Sizes(Dataset):
    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, draw: SampleDraw) -> int:
        return LEAST + draw.seed % (MOST - LEAST)


def collate(sizes: list[int]) -> Rows:
    return Rows(("",) * len(sizes), torch.ones(sum(sizes), WIDTH))


class Layers(nn.Module):
    """Keeps an activation per layer, as a transformer does, and small things between them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(6))
        self.terms = {"size": Term(1.0, "")}

    def draw(self, batch: Rows, seed: int, first: int) -> Rows:
        generator = torch.Generator().manual_seed((seed + first) % 2**63)
        return replace(batch, noise=torch.rand(len(self.layers), len(batch.values) // 7, generator=generator))

    def counts(self, batch: Rows) -> dict[str, int]:
        return {"size": len(batch.values)}

    def forward(self, batch: Rows) -> dict[str, Tensor]:
        x = batch.values
        assert batch.noise is not None
        for layer, kept in zip(self.layers, batch.noise, strict=True):
            x = gelu(layer(x)) * kept.mean()
        return {"size": x.square().mean()}


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(
        dataset=Sizes(),
        collate=collate,
        folder=folder,
        describe=lambda _: None,
        seed=1,
        optim=OptimSettings(batch=2, steps=STEPS, epochs=2 * STEPS, warmup_epochs=0),
        engine=EngineSettings(precision="fp32"),
        checkpoint=CheckpointSettings(every=STEPS),
    )

    def tell(done: int, total: int, words: str) -> None:
        del done, total, words
        print(resident_mb(), flush=True)  # noqa: T201

    fit(Layers(), job, DistributedContext(0, 1, torch.device("cpu")), progress=tell)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
