"""Many reports split into sentences by all cores of this machine: the longest part of a first start. No axes."""

import os
from collections.abc import Iterator, Sequence

from torch.utils.data import Dataset

from simcrop.data.samples.split_reports import one_by_one
from simcrop.engine.loading import loaded, lost_workers

FEW = 4096  # reports, which one process has split before others are at work
PIECE = 512  # reports on their way between processes
MOST = 8  # processes


class Pieces(Dataset):
    """So many reports each, split when they are asked for."""

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = findings

    def __len__(self) -> int:
        return -(-len(self.findings) // PIECE)

    def __getitem__(self, i: int) -> list[list[str]]:
        return list(one_by_one(self.findings[i * PIECE : (i + 1) * PIECE]))


def split_together(findings: Sequence[str]) -> Iterator[list[str]]:
    """The sentences of each, in their order."""
    workers = min(len(os.sched_getaffinity(0)), MOST)
    if len(findings) <= FEW or workers == 1:
        yield from one_by_one(findings)
        return
    with lost_workers(), loaded(Pieces(findings), workers, batch_size=None, collate_fn=as_it_is) as pieces:
        for piece in pieces:
            yield from piece


def as_it_is(piece: list[list[str]]) -> list[list[str]]:
    return piece
