"""Findings put into real scans: what was learned on phantoms, asked of anatomy and noise that no training saw.

No axes or units.
"""

import shutil
from pathlib import Path
from typing import Any

from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.asking import ask, draw_questions
from simcrop.experiments.arms import Arm
from simcrop.experiments.cohorts import SPACINGS
from simcrop.experiments.experiment import Experiment
from simcrop.experiments.extension_results import bounds, figures
from simcrop.experiments.scores import hits_by_kind, reached_by_pointing
from simcrop.experiments.side_by_side import Say
from simcrop.files.whole import read_json, write_json
from simcrop.model import load
from simcrop.phantom.truth import read_truth
from simcrop.tasks.cohorts.ingest import ingest
from simcrop.tasks.cohorts.phantom import phantom_in_real_scans
from simcrop.tasks.folder import read_run

INSERTIONS = 60  # into the scans in turn, each with one to four findings
QUESTIONS_SEED = 0


def ask_about_inserted(
    experiment: Experiment, arms: tuple[Arm, ...], scans: Path, say: Say, insertions: int = INSERTIONS
) -> dict[str, Any]:
    """How often a sentence about an inserted finding points at it, beside all that it must beat; of every arm, with
    intervals over the real scans and the seeds. Kept under `inserted/` of the experiment, with what was asked of whom:
    for other scans or other seeds all is done again.
    """
    folder = experiment.folder / "inserted"
    path = folder / "results.json"
    asked = {
        "scans": str(scans.resolve()),
        "insertions": insertions,
        "seeds": list(experiment.seeds),
        "arms": [arm.name for arm in arms],
    }
    if not path.exists() or read_json(path).get("asked") != asked:
        say("findings put into real scans")
        written, refused = insert(folder, scans, insertions, experiment.seeds[0])
        ingest(folder / "raw", "folder", folder / "cohort", 1, SPACINGS[experiment.cohorts.plan.size])
        cohort, truth = open_cohort(folder / "cohort"), read_truth(folder / "raw")
        questions = draw_questions(cohort, truth, QUESTIONS_SEED)
        found: dict[str, Any] = {}
        for arm in arms:
            models = [load(experiment.run(arm, seed)) for seed in experiment.seeds_of(arm)]
            pointed = [ask(model, cohort, questions, truth) for model in models]
            reached = reached_by_pointing(pointed)
            found[arm.name] = {
                **{name: figures(rate) for name, rate in reached.items()},
                "over_swapped": bounds(reached["hit"].over(reached["swapped"])),
                "kinds": hits_by_kind(pointed),
                "swapped_kinds": hits_by_kind(pointed, swapped=True),
            }
        places = {study.patient for study in cohort}
        about = {
            "scans": len(places),
            "insertions": written,
            "refused": len(refused),
            "questions": len(questions),
        }
        write_json(path, {**about, "arms": found, "asked": asked})
    return {name: value for name, value in read_json(path).items() if name != "asked"}


def insert(folder: Path, scans: Path, insertions: int, seed: int) -> tuple[int, tuple[str, ...]]:
    """What was put into other scans goes, and before it the cohort that was made of it."""
    wanted = {"background": str(scans.resolve()), "patients": insertions, "seed": seed}
    run = read_run(folder / "raw")
    other = run is not None and any(run["settings"].get(name) != value for name, value in wanted.items())
    if other:
        shutil.rmtree(folder / "cohort", ignore_errors=True)
    return phantom_in_real_scans(folder / "raw", scans, insertions, seed, overwrite=other)
