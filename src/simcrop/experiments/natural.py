"""`simcrop reproduce natural`: what is learned on natural anatomies with all 18 findings, beside what could be.

No axes or units. Every step leaves a file and is not repeated: killed anywhere, it resumes. Nothing is chosen on the
test part: of the patches both the mean and the largest values are probed, which was better on other phantoms; labels
are those of the pre-training part.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simcrop.experiments.arms import Arm
from simcrop.experiments.cached import Pooled
from simcrop.experiments.ceilings import (
    LINEAR,
    Reader,
    find_ceilings,
    plan_of,
    taught_linear,
    taught_statistics,
    trainings_of,
)
from simcrop.experiments.cohorts import Plan, draw_cohorts
from simcrop.experiments.experiment import Experiment, Probing
from simcrop.experiments.extension_results import figures, gather_results
from simcrop.experiments.inserted import ask_about_inserted
from simcrop.experiments.natural_text import write_texts
from simcrop.experiments.scores import hits_by_kind, reached_by_pointing, reached_by_probe, tells_presence
from simcrop.experiments.side_by_side import Say, processors
from simcrop.files.whole import write_json
from simcrop.tasks.folder import open_folder, write_metrics

BASE = "simcrop-plus-small"
PLAN = plan_of("small")
POOL: Pooled = "both"
SHARE = 0.1  # of the labelled patients, for a second probe
SHIFT_MM = 30.0  # of the field of view along every axis, at test time

ALIGNED_AS_PRINTED = ("align.use_sa=true", "align.cross_image=false")  # what is aligned in the paper

RANDOM = Arm("Random init", BASE, trained=False, base=BASE)
MAE = Arm("MAE", "mae-tiny", base=BASE)
CT_CLIP = Arm("CT-CLIP-like", "ct-clip-tiny", base=BASE)
PLUS = Arm("SimCroP plus", BASE, base=BASE)
MISPAIRED = Arm("SimCroP plus, mispaired scans", BASE, ("data.mispaired=true",), base=BASE)
ARMS = (RANDOM, MAE, CT_CLIP, PLUS, MISPAIRED)
SCAN = Arm("centred by the scan", BASE, ("input.centre=scan",), seeds=1, base=BASE)
PARTS = (
    Arm("without masked volume", BASE, ("mim.weight=0",), base=BASE),
    Arm("without masked words", BASE, ("mlm.weight=0",), base=BASE),
    Arm("with Eq. 4 at a hundredth", BASE, ("align.use_sa=true", "align.weight=0.01"), base=BASE),
    Arm("Eq. 4 instead of the cross-image term", BASE, ALIGNED_AS_PRINTED, base=BASE),
    Arm("the cross-image term alone", BASE, ("mim.weight=0", "mlm.weight=0"), base=BASE),
    Arm("without attention", BASE, ("align.cross_image.skip_attention=1",), base=BASE),
    Arm("attention in every step", BASE, ("align.cross_image.skip_attention=0",), seeds=1, base=BASE),
    Arm("whole patches", BASE, ("vision.cells=[1, 1, 1]",), seeds=1, base=BASE),
    Arm("linear stem", BASE, LINEAR, seeds=1, base=BASE),
    SCAN,
)
MOVED = (PLUS, SCAN)  # arms that are also shown scans whose field of view is moved


def reproduce_natural(
    out: Path,
    seeds: Sequence[int] = (0, 1, 2),
    common: Sequence[str] = (),
    say: Say = lambda _: None,
    resume: bool = False,
    overwrite: bool = False,
    plan: Plan = PLAN,
    at_once: int | None = None,
    real_scans: Path | None = None,
) -> dict[str, Any]:
    """The whole experiment under `out`; its results, which `results.json`, `natural.md` and `report.html` hold too.

    More `seeds` may be asked for when it is resumed. `common` changes every arm's recipe. `at_once`: how many arms are
    trained at once, one per core if not given. `real_scans`: a folder of scans into which findings are put, to be asked
    about.
    """
    settings = {"plan": asdict(plan), "common": list(common)}
    open_folder(out, "reproduce", {"table": "natural", **settings}, resume, overwrite)
    at_once = at_once or processors()
    cohorts = draw_cohorts(out / "cohorts", plan, min(seeds) + 200)
    experiment = Experiment(out, cohorts, (*ARMS, *PARTS), tuple(seeds), tuple(common), labelled="pretrain")
    asked = (Reader(), taught_statistics(plan.labels, BASE, "max"), taught_linear(plan.labels, BASE))
    experiment.train(at_once, say, trainings_of(experiment, asked).values())
    ceiling = find_ceilings(experiment, asked, out / "ceiling.json", at_once, say)
    as_they_lie: tuple[Probing, ...] = ((POOL, 1.0, 0.0), (POOL, SHARE, 0.0))
    and_moved: tuple[Probing, ...] = (*as_they_lie, (POOL, 1.0, SHIFT_MM))
    experiment.judge(
        {arm: and_moved if arm in MOVED else as_they_lie for arm in experiment.arms}, at_once, say
    )
    results = gather_results(experiment, {arm.name: POOL for arm in experiment.arms}) | {
        "ceiling": ceiling,
        "share": SHARE,
    }
    truth, patients = cohorts.labels("test"), cohorts.patients("test")
    for arm in experiment.arms:
        scores = experiment.scores(arm, "test", POOL, SHARE)
        found = results["arms"][arm.name]
        found["probe_share"] = figures(reached_by_probe(scores, truth, patients))
        if "pointing" in found:
            answers = experiment.answers(arm)
            found["tells_presence"] = figures(tells_presence(answers))
            found["swapped_kinds"] = hits_by_kind(answers, swapped=True)
    for arm in MOVED:
        moved = experiment.scores(arm, "test", POOL, shift_mm=SHIFT_MM)
        results["arms"][arm.name]["shifted"] = {
            "probe": figures(reached_by_probe(moved, truth, patients)),
            "pointing": figures(reached_by_pointing(experiment.answers(arm, SHIFT_MM))["hit"]),
        }
    if real_scans is not None:
        results["inserted"] = ask_about_inserted(experiment, (PLUS, RANDOM), real_scans, say)
    write_json(out / "results.json", results)
    write_texts(out, results)
    write_metrics(out, results)
    return results
