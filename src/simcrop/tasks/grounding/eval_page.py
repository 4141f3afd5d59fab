"""The page of `simcrop ground-eval`: hit rates as a picture, every measure beside what it must beat, and by finding,
size and side. It holds no sentence of a report and no name. Lengths in mm.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simcrop.evaluation.grounding.scores import SIZES, WHO, Judged
from simcrop.evaluation.grounding.summary import GROUPS, Group, groups_of
from simcrop.figures.intervals import draw_intervals
from simcrop.figures.page import Page
from simcrop.metrics.intervals import Interval
from simcrop.tasks.intervals import bar_of, written

WORDS = {
    "hit": "pointing hits",
    "hit_k": "hits of the {k} nearest",
    "precision": "precision of the {k}",
    "recall": "recall of the {k}",
    "iou": "IoU",
    "dice": "Dice",
    "cnr": "contrast to noise",
    "distance_mm": "distance, mm",
    "depth_mm": "depth error, mm",
}
MEANING = (
    "Hits: the nearest patch, or one of the {k} nearest, touches the lesion. Precision: of the {k}, how many touch it; "
    "recall: of those that touch it, how many are among the {k}. IoU and Dice: the thresholded map against the lesion, "
    "voxel by voxel. Contrast to noise: the map's mean on the lesion above that beside it, in deviations of both. "
    "Distance: from the nearest patch's middle to the lesion; depth error: from its height to the lesion's middle."
)
WHOSE = {
    "own": "the sentence",
    "swapped": "another sentence",
    "prior": "usual map",
    "random": "random encoder",
    "chance": "chance",
}
AGAINST = {
    "all": "all that is not there",
    "denied": "what the report denies",
    "absent": "findings that the scan lacks",
}
UNTOLD = (
    " Nobody has said what these scans show besides what is marked: a scan may have the finding that it is said to "
    "lack, and a map that points at such a one counts as a miss."
)
HEADINGS = {"findings": "finding", "sizes": "size", "sides": "side"}


def write_page(
    path: Path,
    every: Group,
    judged: Sequence[Judged],
    says: Mapping[str, Interval],
    facts: Mapping[str, Any],
    seed: int,
) -> None:
    k = facts["top_k"]
    page = Page(
        "Do sentences find what they name?",
        f"{every.sentences} sentences about {facts['scans']} scans of {facts['patients']} patients, split "
        f"{facts['split']!r}, each asked of its own scan; what they name is known there. In brackets 95 % intervals "
        f"over patients. {facts['note'][0].upper()}{facts['note'][1:]}."
        f"{'' if facts['tells_all'] else UNTOLD}",
    )
    hit = every.figures["hit", "own"]
    page.figures(
        {
            "pointing hits": share(hit),
            "by chance": share(every.figures["hit", "chance"]),
            "depth error": length(every.figures["depth_mm", "own"]),
            "says-nothing AUROC": f"{says['all'].value:.3f}",
        }
    )
    measures_section(page, every, k)
    for by in GROUPS:
        group_section(page, by, groups_of(judged, by, seed))
    region_section(page, facts)
    presence_section(page, says, facts["denied"])
    left_section(page, facts)
    page.write(path)


def measures_section(page: Page, every: Group, k: int) -> None:
    page.section(
        "All sentences",
        "Another sentence: about a finding that the scan lacks. Usual map: the mean map of sentences of the same kind "
        "over the training split, which knows nothing of the scan. Random encoder: the same recipe, untrained. Chance: "
        "patches that are drawn. A model grounds a sentence only where it beats all four.",
    )
    rows = {WHOSE[who]: [bar_of(every.figures["hit", who])] for who in WHO}
    page.drawing(draw_intervals(rows, ["pointing hits"], chance=-1.0))
    asked = [measure for measure in WORDS if every.figures[measure, "own"].draws]
    page.table(
        [
            [WORDS[measure].format(k=k), *(told(measure, every.figures[measure, who]) for who in WHO)]
            for measure in asked
        ],
        ["", *(WHOSE[who] for who in WHO)],
        MEANING.format(k=k),
    )
    page.table(
        [
            [
                WORDS[measure].format(k=k),
                *(told(measure, every.figures[measure, f"over_{who}"]) for who in WHO[1:]),
            ]
            for measure in asked
        ],
        ["the sentence minus", *(WHOSE[who] for who in WHO[1:])],
        "Sentence by sentence. Of distance and depth error a negative difference is the better one.",
    )


def group_section(page: Page, by: str, groups: Sequence[Group]) -> None:
    if not groups:
        return
    page.section(f"By {HEADINGS[by]}")
    rows = {group.name: [bar_of(group.figures["hit", who]) for who in ("own", "prior")] for group in groups}
    page.drawing(draw_intervals(rows, [WHOSE["own"], WHOSE["prior"]], chance=-1.0), "Pointing hits.")
    page.table(
        [
            [
                whole(group.name),
                group.sentences,
                *(told("hit", group.figures["hit", who]) for who in WHO[:-1]),
                bare("hit", group.figures["hit", "chance"]),
            ]
            for group in groups
        ],
        [HEADINGS[by], "sentences", *(WHOSE[who] for who in WHO)],
        "Pointing hits.",
    )
    later = [measure for measure in LATER if any(group.figures[measure, "own"].draws for group in groups)]
    page.table(
        [
            [whole(group.name), *(bare(measure, group.figures[measure, "own"]) for measure in later)]
            for group in groups
        ],
        [HEADINGS[by], *(WORDS[measure].removesuffix(" of the {k}") for measure in later)],
        "The sentence's own map; with intervals, and beside the others, in metrics.json.",
    )


LATER = ("precision", "recall", "dice", "cnr", "distance_mm", "depth_mm")


def region_section(page: Page, facts: Mapping[str, Any]) -> None:
    thresholds = facts["thresholds"]
    if thresholds is None:
        page.section(
            "Thresholded maps",
            "Not judged: a threshold must come from other scans. --choose SPLIT names the split that it is chosen on.",
        )
        return
    elsewhere = " of another cohort" if facts["learned_elsewhere"] else ""
    page.section(
        "Thresholded maps",
        f"Thresholds have the highest mean Dice over {facts['choosing']} scans of split {facts['choose']!r}{elsewhere}"
        "; nothing was chosen on the scans that are judged.",
    )
    page.table([[WHOSE[who], value] for who, value in thresholds.items()], ["map", "cosine similarity"])


def presence_section(page: Page, says: Mapping[str, Interval], denied: int) -> None:
    page.section(
        "What is there against what is not",
        f"Within each scan: the score of sentences that show something above that of {denied} denials of the reports, "
        "and of sentences about what the scan lacks. A model that says nothing of its scan reaches one half. Denials "
        "that nearly every report holds may score high in any scan: `simcrop audit` sets that right.",
    )
    rows = {words: [bar_of(says[name]), bar_of(says[f"{name}_random"])] for name, words in AGAINST.items()}
    page.drawing(draw_intervals(rows, ["AUROC within scans", "random encoder"]))


def left_section(page: Page, facts: Mapping[str, Any]) -> None:
    page.section("What was left out")
    prior, elsewhere = facts["prior"], " of another cohort" if facts["learned_elsewhere"] else ""
    page.table(
        [
            ["sentences whose lesion lies beyond the input", facts["beyond_input"]],
            ["sentences whose value is not in the mask", facts["not_in_mask"]],
            ["sentences that are marked in part, of which only recall is judged", facts["partly_marked"]],
            ["rows of the table about scans that are not in the cohort", facts["rows_of_no_scan"]],
            ["scans that could not be asked", len(facts["refused"])],
            [f"scans of split {facts['train']!r}{elsewhere} behind the usual maps", prior["scans"]],
            ["kinds that have a usual map", len(prior["sentences"])],
        ],
        ["", ""],
    )


def told(measure: str, of: Interval) -> str:
    """With its interval. Millimetres are whole."""
    if not measure.endswith("_mm") or of.value != of.value:
        return written(of)
    spread = f"{of.low:.0f},\u00a0{of.high:.0f}" if of.wide else "–"
    return f"{of.value:.0f}\u00a0[{spread}]".replace("-", "−")


def bare(measure: str, of: Interval) -> str:
    if of.value != of.value:
        return "–"
    return f"{of.value:.{0 if measure.endswith('_mm') else 3}f}".replace("-", "−")


def whole(name: str) -> str:
    """A size is not broken in two lines."""
    return name.replace(" ", "\u00a0") if name in SIZES else name


def share(of: Interval) -> str:
    return f"{100 * of.value:.0f} %" if of.value == of.value else "–"


def length(of: Interval) -> str:
    return f"{of.value:.0f} mm" if of.value == of.value else "–"
