"""The page of an audit: for each part one picture with intervals, and the figures. It holds no sentence of a report:
examples are of a sentence made for it.
"""

from collections.abc import Mapping
from pathlib import Path

from simcrop.evaluation.wording.audit import PointingShift, Shift, Shifts
from simcrop.evaluation.wording.perturb import PERTURBATIONS
from simcrop.figures.intervals import draw_intervals
from simcrop.figures.page import Page
from simcrop.metrics.intervals import Interval
from simcrop.tasks.auditing.tables import OTHER_SCAN
from simcrop.tasks.intervals import bar_of, written

EXAMPLE = {
    "asserts": "There is a nodule in the left upper lobe.",
    "denies": "There is no pleural effusion on the right.",
}
OTHER_WORDS = "the sentence itself, asked of another patient's scan: how much a wrong text can cost"
AGAINST = {
    "all": "all that is not there",
    "denied": "what the report denies",
    "lacking": "findings that the scan lacks",
}


def write_page(
    path: Path,
    shifts: Mapping[str, Shifts],
    counts: Mapping[str, Mapping[str, int]],
    pointing: Mapping[str, PointingShift],
    says_nothing: Mapping[str, Interval],
    presence: Mapping[str, int],
    k: int,
    note: str,
) -> None:
    """Score shifts, pointing where something is known of the scans, and what is there against what is not."""
    page = Page(
        "Does the text matter?",
        f"Sentences of reports are made wrong, and asked of their own scans. A sentence scores a scan by its {k} "
        "nearest patches. A model that reads and looks scores what is wrong lower, and more so in the scan itself than "
        "in another patient's; to one that does not read, all sentences are alike: half of them fall. In brackets 95 % "
        f"intervals over patients. {note[0].upper()}{note[1:]}.",
    )
    page.figures(
        {
            "says-nothing AUROC": says_nothing["all"].value,
            "beyond the words alone": says_nothing["all_beyond"].value,
            "another finding scores lower": share(shifts["finding"].all),
            "another scan scores lower": share(shifts[OTHER_SCAN].all),
        }
    )
    shift_section(page, shifts, counts)
    if pointing:
        pointing_section(page, pointing)
    presence_section(page, says_nothing, presence)
    page.write(path)


def shift_section(page: Page, shifts: Mapping[str, Shifts], counts: Mapping[str, Mapping[str, int]]) -> None:
    """What each change does, to how many sentences, and how scores answer."""
    page.section(
        "Scores of changed sentences",
        "Each sentence against itself. The bars say which share of sentences scores lower once changed; ties count "
        "half, and one half is no effect. Some words score higher in any scan: what falls in another patient's scan as "
        "well is owed to the words, and only what falls beyond that to what is seen.",
    )
    page.drawing(
        draw_intervals(
            {name: [bar_of(of.all.falls), bar_of(of.all.falls_elsewhere)] for name, of in shifts.items()},
            ["in its own scan", "in another patient's"],
        )
    )
    page.table(
        [
            [
                name,
                of.all.sentences,
                *map(written, (of.all.fall, of.all.fall_elsewhere, of.all.beyond, of.all.falls)),
            ]
            for name, of in shifts.items()
        ],
        ["change", "sentences", "fall of the score", "elsewhere", "beyond that", "share that falls"],
    )
    page.table(
        [
            [
                name,
                *(counts[name][column] for column in ("sentences", "applied", "no_rule", "also_true")),
                *described(name),
            ]
            for name in shifts
        ],
        ["change", "sentences", "changed", "no rule applies", "true as well", "what is done", "example"],
        "Left out are sentences that no rule changes, and those that stay true as report or labels have it.",
    )
    names = [name for name in shifts if name not in ("unchanged", "asserted")]
    kinds = sorted({kind for name in names for kind in shifts[name].kinds} - {"several"})
    if kinds:
        page.table(
            [
                [
                    kind,
                    *(shifts[n].kinds[kind].falls.value if kind in shifts[n].kinds else None for n in names),
                ]
                for kind in kinds
            ],
            ["share that falls", *names],
            "By the finding that a sentence speaks of, where ten or more were changed; with intervals in metrics.json.",
        )


def described(name: str) -> tuple[str, str]:
    """What a change does, and what it makes of a sentence."""
    if name == OTHER_SCAN:
        return OTHER_WORDS, EXAMPLE["asserts"]
    perturbation = PERTURBATIONS[name]
    return perturbation.words, perturbation.change(EXAMPLE[perturbation.claim]) or ""


def pointing_section(page: Page, pointing: Mapping[str, PointingShift]) -> None:
    """Where the sentences point, of scans that are known."""
    page.section(
        "Where changed sentences point",
        "Of these scans it is known what lies where. The bars say how often the nearest patch touches the lesion that "
        "the true sentence speaks of. A sentence with another meaning should let go of it.",
    )
    rows = {name: [bar_of(of.true), bar_of(of.changed)] for name, of in pointing.items()}
    page.drawing(draw_intervals(rows, ["true sentence", "changed sentence"], chance=-1.0))
    page.table(
        [
            [name, of.sentences, *map(written, (of.true, of.changed, of.lost))]
            for name, of in pointing.items()
        ],
        ["change", "sentences", "true", "changed", "difference"],
    )
    moved = {name: of.moved for name, of in pointing.items() if of.moved}
    page.table(
        [
            [
                name,
                of.there,
                written(of.true_there),
                written(of.changed_there),
                of.nowhere.sentences,
                written(of.nowhere.fall),
                written(of.nowhere.falls),
            ]
            for name, of in moved.items()
        ],
        [
            "moved to another",
            "one lies there",
            "true sentence points there",
            "changed one does",
            "none lies there",
            "fall of the score",
            "share that falls",
        ],
        "Where the scan has such a finding in the place that the changed sentence names, it should point there; where "
        "it has none, its score should fall. Sentences that stay true were left out above.",
    )


def presence_section(page: Page, says_nothing: Mapping[str, Interval], presence: Mapping[str, int]) -> None:
    """The says-nothing AUROC and both its halves."""
    page.section(
        "What is there against what is not",
        f"Within each scan: {presence.get('there', 0)} sentences that its report asserts, against "
        f"{presence.get('denied', 0)} denials in it and {presence.get('lacking', 0)} sentences of other patients about "
        "findings that it lacks. A model that says nothing of its scan reaches one half. Denials that nearly every "
        "report holds may score high in any scan; beyond the words alone, each sentence counts by how much more it "
        "scores here than in another patient's scan.",
    )
    rows = {
        words: [bar_of(says_nothing[name]), bar_of(says_nothing[f"{name}_beyond"])]
        for name, words in AGAINST.items()
    }
    page.drawing(draw_intervals(rows, ["AUROC within scans", "beyond the words alone"]))


def share(of: Shift) -> str:
    return f"{100 * of.falls.value:.0f} %" if of.sentences else "–"
