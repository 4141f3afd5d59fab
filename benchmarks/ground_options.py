"""What each option of `simcrop ground` gains on phantoms: how far the nearest patch lies from the lesion, and Dice.

    simcrop phantom raw --patients 64 --size small --seed 5
    simcrop ingest raw --layout ct-rate --out cohort
    python benchmarks/ground_options.py run raw cohort --json benchmarks/results/ground_options.json

Prints JSON. Lesions are known voxel by voxel on each scan's own grid. Of every sentence that shows one: mm from the
middle of its nearest patch to the nearest voxel of the lesion, and Dice of its region, which are the voxels as similar
as the last box or more. Gains are over the plain way, paired by sentence, with intervals over patients.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import apply_affine

from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.data.volume import Volume
from simcrop.evaluation.asking import Question, draw_questions, read_mask
from simcrop.metrics import interval
from simcrop.model import Heat, Model, load
from simcrop.phantom.truth import Truth, read_truth
from simcrop.tasks.grounding.ground_options import GroundOptions, least_of, seek

PLAIN = "plain"
OPTIONS = {
    PLAIN: GroundOptions(),
    "fine": GroundOptions(fine=8),
    "whole": GroundOptions(whole=True),
    "top_k_auto": GroundOptions(top_k="auto"),
    "fine_top_k_auto": GroundOptions(top_k="auto", fine=8),
    "all": GroundOptions(top_k="auto", fine=8, whole=True),
}
DISTANCE, DICE = "distance_mm", "dice"


def main() -> None:
    chosen = arguments()
    cohort, truth = open_cohort(chosen.cohort), read_truth(chosen.raw)
    report = measured(load(str(chosen.model)), cohort, truth, chosen.scans, chosen.seed)
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(text + "\n")


def measured(model: Model, cohort: Cohort, truth: Truth, scans: int | None, seed: int) -> dict[str, Any]:
    """Of each option its means, and what it gains over the plain way."""
    questions = draw_questions(cohort, truth, seed)
    found = {name: {DISTANCE: list[float](), DICE: list[float]()} for name in OPTIONS}
    patients = list[str]()
    for own in by_scan(questions, scans):
        volume = read_volume(next(s.source_path for s in cohort if s.id == own[0].study))
        mask, texts = read_mask(truth.mask_path(own[0].study)), [question.text for question in own]
        patients += [question.patient for question in own]
        for name, asked in OPTIONS.items():
            for question, heat in zip(own, seek(model, volume, texts, asked), strict=True):
                lesion = mask == question.mask_value
                found[name][DISTANCE].append(away_mm(heat, lesion, volume))
                found[name][DICE].append(
                    dice(heat.map >= np.float32(least_of(heat, asked.threshold)), lesion)
                )
    return {
        "model": {"method": model.recipe.method, "top_k": model.top_k, "patches": list(model.grid.shape)},
        "sentences": len(patients),
        "patients": len(set(patients)),
        "options": {name: figures(found[name], found[PLAIN], patients, seed) for name in OPTIONS},
    }


def by_scan(questions: list[Question], scans: int | None) -> Iterator[list[Question]]:
    """All questions of one scan at a time, of the first so many scans."""
    ordered = sorted(questions, key=lambda question: question.study)
    for number, (_, own) in enumerate(groupby(ordered, key=lambda question: question.study)):
        if scans is not None and number >= scans:
            return
        yield list(own)


def away_mm(heat: Heat, lesion: np.ndarray, volume: Volume) -> float:
    points = apply_affine(volume.affine, np.argwhere(lesion))
    return float(np.linalg.norm(points - heat.boxes_mm[0].mean(0), axis=1).min())


def dice(region: np.ndarray, lesion: np.ndarray) -> float:
    return float(
        2 * np.count_nonzero(region & lesion) / (np.count_nonzero(region) + np.count_nonzero(lesion))
    )


def figures(
    own: dict[str, list[float]], plain: dict[str, list[float]], patients: list[str], seed: int
) -> dict[str, Any]:
    """Means, and the mean of the paired gains as `[value, low, high]`: fewer mm and more Dice are above zero."""
    told: dict[str, Any] = {}
    for name, sign in ((DISTANCE, -1), (DICE, 1)):
        values = np.array(own[name])
        gains = sign * (values - np.array(plain[name]))
        over = interval(lambda rows, g=gains: float(g[rows].mean()), patients, np.random.default_rng(seed))
        told[name] = round(float(values.mean()), 4)
        told[f"{name}_gain"] = [round(n, 4) for n in (over.value, over.low, over.high)]
    return told


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What each option of simcrop ground gains on phantoms.")
    parser.add_argument("model", type=Path, help="a run or model folder that was trained with sentences")
    parser.add_argument("raw", type=Path, help="the phantoms, with their truth")
    parser.add_argument("cohort", type=Path, help="the same, ingested")
    parser.add_argument("--scans", type=int, help="only the first so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to keep what is printed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
