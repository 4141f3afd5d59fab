"""Memory of `simcrop retrieve` on as many scans, reports and sentences as CT-RATE's validation split has.

    python benchmarks/retrieve.py --scored 64 --encoded 16 --json benchmarks/results/retrieve.json

Prints JSON: the peak of the resident memory of a process that does nothing else, and its seconds. What runs is the
verb itself, from the index of the cohort to its page. Made up are the reports (as many and as different from one
another as the real ones), the text vectors and the patch tokens: 2,744 x 768 per scan, drawn anew for each and never
stored. `--scored`: in so many scans every sentence is compared with every patch; of the rest the scores are drawn,
which saves hours and no memory, since one pass is like the other. `--encoded`: so many scans go through the encoder of
the recipe, too, with random weights.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
import torch

import simcrop.evaluation.sentence_scores as scoring
import simcrop.tasks.features.kept_scores as kept
import simcrop.tasks.retrieval.fits as fits
import simcrop.tasks.retrieval.retrieve as verb
import start
from simcrop.config import Recipe, load_recipe
from simcrop.data.preprocess import InputSpec
from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.store.format import STUDIES
from simcrop.evaluation.features import volumes_ahead
from simcrop.model import Model
from simcrop.tasks.features.source import FromModel

NEW = 9138 / 47_879  # of the sentences of CT-RATE's validation reports, those that none before has said
LABELS, FREQUENCY, WIDTH = 18, 0.2, 768


def main() -> None:
    chosen = arguments()
    if chosen.child is not None:
        work(chosen, chosen.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, *sys.argv[1:], "--child", folder]
        threads = {"OMP_NUM_THREADS": str(chosen.threads), "MKL_NUM_THREADS": str(chosen.threads)}
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | threads)
    report = json.loads(done.stdout.splitlines()[-1])
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def work(chosen: argparse.Namespace, folder: Path) -> None:
    """In a process of its own: the whole verb, and what it has held at most."""
    recipe = load_recipe(chosen.recipe)
    distinct = write_cohort(folder / "cohort", chosen.scans)
    network = MadeModel(recipe, chosen.encoded)
    stand_in(network, chosen.scored)
    before, began = peak_mb(), perf_counter()
    options = verb.RetrieveOptions(split="train", sentences=chosen.sentences)
    verb.retrieve("made", folder / "cohort", folder / "out", options)
    report = {
        "scans": chosen.scans,
        "scored": min(chosen.scored, chosen.scans),
        "encoded": network.done,
        "tokens": [network.grid.count, WIDTH],
        "distinct_sentences": distinct,
        "sentences_asked": json.loads((folder / "out/metrics.json").read_text())["sentences"]["asked"],
        "threads": chosen.threads,
        "seconds": round(perf_counter() - began, 1),
        "mb_before": before,
        "peak_mb": peak_mb(),
        "tokens_of_all_mb": round(chosen.scans * network.grid.count * WIDTH * 4 / 2**20),
    }
    print(json.dumps(report))


def write_cohort(folder: Path, scans: int) -> int:
    """Tables alone, with labels; the number of distinct sentences."""
    distinct = start.write_index(folder, scans, new=NEW)
    table, rng = pl.read_parquet(folder / STUDIES), np.random.default_rng(0)
    labels = (rng.random((LABELS, scans)) < FREQUENCY).astype(np.int8)
    table = table.with_columns(pl.Series(f"label:{i}", of) for i, of in enumerate(labels))
    table.write_parquet(folder / STUDIES)
    return distinct


class MadeModel(Model):
    """What `retrieve` asks of a network. Its tokens are drawn for each scan; the first `encoded` scans are encoded by
    the recipe's own encoder before that.
    """

    def __init__(self, recipe: Recipe, encoded: int) -> None:
        torch.nn.Module.__init__(self)
        self.recipe, self.encoded, self.done = recipe, encoded, 0
        self.grid = recipe.input.grid
        self.vision = recipe.vision.build(self.grid).eval()
        self.draw = np.random.default_rng(1)

    def encode(self, sentences: Sequence[str]) -> torch.Tensor:
        return unit(self.draw.standard_normal((len(sentences), WIDTH), np.float32))

    def regions_of(self, volumes: torch.Tensor) -> torch.Tensor:
        if self.done < self.encoded:
            with torch.no_grad():
                self.vision(volumes)
            self.done += len(volumes)
        return unit(self.draw.standard_normal((len(volumes), self.grid.count, WIDTH), np.float32))


def unit(values: np.ndarray) -> torch.Tensor:
    values /= np.linalg.norm(values, axis=-1, keepdims=True)
    return torch.from_numpy(values)


class MadeSource(FromModel):
    """Pooled features without a pass over scans that are not there."""

    def rows(self, cohort: Cohort, pool: str) -> np.ndarray:
        del pool
        return np.random.default_rng(2).standard_normal((len(cohort), WIDTH), np.float32)


def stand_in(network: MadeModel, scored: int) -> None:
    """The verb takes this network, whose scans are empty volumes of the right size."""

    def blank(study: Study, spec: InputSpec) -> np.ndarray:
        del study
        return np.full(spec.shape, -1, np.float32)

    def some_scored(
        model: Any, vectors: np.ndarray, passes: Iterable[Sequence[Study]], k: int
    ) -> Iterator[np.ndarray]:
        rng, left, waiting = np.random.default_rng(3), scored, iter(passes)
        taken: list[Sequence[Study]] = []
        while left > 0 and (studies := next(waiting, None)):
            taken.append(studies)
            left -= len(studies)
        yield from scoring.sentence_scores(model, vectors, taken, k)
        for studies in waiting:
            yield rng.standard_normal((len(studies), len(vectors)), np.float32)

    patches: list[tuple[Any, str, Any]] = [
        (scoring, "volumes_ahead", partial(volumes_ahead, read=blank)),
        (kept, "sentence_scores", some_scored),
        (fits, "load", lambda _: network),
        (verb, "source_of", lambda *_: MadeSource(Path("made"), {}, "made")),
    ]
    for module, name, value in patches:
        setattr(module, name, value)


def peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scans", type=int, default=3039)
    parser.add_argument("--scored", type=int, default=64, help="scans whose patches are compared")
    parser.add_argument("--encoded", type=int, default=16, help="scans that go through the encoder")
    parser.add_argument("--sentences", type=int, default=fits.MOST_SENTENCES, help="that are asked alone")
    parser.add_argument("--recipe", default="simcrop-paper")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the report here as well")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
