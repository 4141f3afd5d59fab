"""Start-up and loading processes on a made-up index of 50,000 studies and 700,000 sentences, stage by stage.

    python benchmarks/start_large.py --studies 50000 --folder large --json benchmarks/results/start-large.json

Prints JSON: for a first start and for one that finds what the first has kept, seconds by the clock and of the
processor (for a shared machine) of each stage up to the first batch; and the memory of each loading process in MiB
once it has read its batches. `over_imports`: what it has in memory, shared or not, beyond a process that has imported
all and opened nothing; `private`: what it shares with nobody; `pss`: that, and its part of what is shared. The network
is not built: it is none of the loading. There are no scans: a crop is made of air where one would be read.

The text encoder takes hours for so many sentences, once in the life of a cohort. What it would have kept is made up
and lies there before the first start, so none of its time is here.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

SENTENCES, NEW = 14.0, 0.1275  # per report, and the share of them that no report before has said
FIELDS = {"rss": "Rss", "pss": "Pss", "clean": "Private_Clean", "dirty": "Private_Dirty"}


def main() -> None:
    chosen = arguments()
    if chosen.inside:
        print(json.dumps(started(chosen.folder, chosen)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        distinct = make_index(folder, chosen)
        runs = {name: in_process(folder) for name in ("first", "again")}
    report = {
        "studies": chosen.studies,
        "sentences": round(SENTENCES * chosen.studies),
        "distinct_sentences": distinct,
        "recipe": chosen.recipe,
        "workers": chosen.workers,
        "batches": chosen.batches,
        "runs": runs,
    }
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.write_text(text + "\n")


def make_index(folder: Path, chosen: argparse.Namespace) -> int:
    """The tables of a cohort, and the vectors of its sentences as the text encoder would have kept them."""
    from start import write_index

    cohort = folder / "cohort"
    known, vectors = cohort / "distinct", cohort / "sentences" / name_of_vectors(chosen)
    again = known.is_file()
    distinct = int(known.read_text()) if again else write_index(cohort, chosen.studies, SENTENCES, chosen.new)
    for kept in vectors.parent.glob("*"):
        if kept != vectors:
            kept.unlink()
    if not vectors.is_file():
        write_vectors(cohort, vectors)
    known.write_text(str(distinct))
    return distinct


def name_of_vectors(chosen: argparse.Namespace) -> str:
    from simcrop.config import load_recipe
    from simcrop.data.samples.tokenizer import Tokenizer
    from simcrop.tasks.training.text_bank import vectors_file
    from simcrop.weights.embedded import text_encoder_folder

    recipe = load_recipe(chosen.recipe)
    needs = recipe.text_needs
    assert needs is not None
    return vectors_file(recipe, needs, Tokenizer.load(text_encoder_folder(recipe.text.model)))


def write_vectors(cohort: Path, path: Path) -> None:
    import numpy as np

    from simcrop.data.report import sentences
    from simcrop.data.store.cohort import open_cohort
    from simcrop.files.vectors import append_vectors

    path.parent.mkdir(exist_ok=True)
    said = sorted({s for text in open_cohort(cohort).index["findings"] for s in sentences(text)})
    random = np.random.default_rng(0)
    for start in range(0, len(said), 10_000):
        some = said[start : start + 10_000]
        append_vectors(path, some, random.standard_normal((len(some), 384), dtype=np.float32))


def in_process(folder: Path) -> dict[str, Any]:
    """What a start measures of itself, in a process of its own."""
    words = [sys.executable, __file__, "--inside", *sys.argv[1:], "--folder", str(folder)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


class Stages:
    """Seconds of each, by the clock and of the processor, children included."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.last = perf_counter(), busy()

    def done(self, name: str) -> None:
        now = perf_counter(), busy()
        self.seconds[name] = [round(b - a, 2) for a, b in zip(self.last, now, strict=True)]
        self.last = now


def busy() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + used.ru_utime + used.ru_stime


def started(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """All that stands between a command and its first batch but the network."""
    stages = Stages()
    import torch

    from simcrop.config import load_recipe
    from simcrop.data.samples import dataset
    from simcrop.data.samples.collate import Collate
    from simcrop.data.store.cohort import open_cohort
    from simcrop.tasks.training import train
    from simcrop.tasks.training.components import gather_inputs, with_known_classes, with_known_labels
    from simcrop.tasks.training.samples import samples_of, training_studies

    torch.set_num_threads(1)
    dataset.cut_hu = air  # type: ignore[assignment]
    del train
    recipe = load_recipe(chosen.recipe, ["input.shape=[32, 32, 16]"])
    stages.done("imports")
    imports = memory("self")["rss"]
    cohort = open_cohort(folder / "cohort")
    stages.done("open_cohort")
    studies = training_studies(cohort, recipe)
    recipe = with_known_classes(with_known_labels(recipe, studies), studies)
    stages.done("choose_studies")
    inputs = gather_inputs(cohort, studies, recipe)
    stages.done("texts")
    samples = samples_of(studies, recipe, *shared(studies, recipe))
    collate = Collate(inputs.texts, recipe.label_names or (), recipe.wants_masks, recipe.extra)
    stages.done("samples")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    workers = loaded(samples, collate, recipe, chosen, stages)
    seconds = stages.seconds | {
        "all": [round(sum(both), 2) for both in zip(*stages.seconds.values(), strict=True)]
    }
    return {
        "seconds": seconds,
        "imports_mib": round(imports),
        "main_mib": round(memory("self")["rss"]),
        "main_peak_mib": round(peak),
        "workers": [
            {
                "over_imports": round(one["rss"] - imports),
                "pss": round(one["pss"]),
                "private": round(one["clean"] + one["dirty"]),
            }
            for one in workers
        ],
    }


def shared(studies: Any, recipe: Any) -> list[Any]:
    from simcrop.tasks.training.components import ALONE
    from simcrop.tasks.training.samples import shared_index

    return [shared_index(studies, recipe, ALONE)]


def loaded(
    samples: Any, collate: Any, recipe: Any, chosen: argparse.Namespace, stages: Stages
) -> list[dict[str, float]]:
    """The memory of every loading process after so many batches."""
    import multiprocessing

    from simcrop.engine.loading import micro_batches
    from simcrop.engine.order import RankShare, SampleOrder

    order = SampleOrder(len(samples), recipe.optim.batch, 0)
    share = RankShare(0, 1, recipe.optim.batch)
    with micro_batches(samples, collate, order, share, range(10**6), chosen.workers) as batches:
        next(batches)
        stages.done("first_batch")
        for _ in range(chosen.batches):
            next(batches)
        return [memory(str(child.pid)) for child in multiprocessing.active_children()]


def air(study: Any, spec: Any, random: Any, back: Any = None) -> Any:
    import numpy as np

    del study, random, back
    return np.full(spec.shape, -1000, np.int16)


def memory(process: str) -> dict[str, float]:
    """MiB of a process, by the system."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {name: found[field] for name, field in FIELDS.items()}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=50_000)
    parser.add_argument("--new", type=float, default=NEW, help="share of sentences that nobody said before")
    parser.add_argument("--recipe", default="simcrop-paper")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batches", type=int, default=50, help="that are read before memory is looked at")
    parser.add_argument("--folder", type=Path, help="where the index stays; a temporary one when not said")
    parser.add_argument("--json", type=Path, help="write the report here as well")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
