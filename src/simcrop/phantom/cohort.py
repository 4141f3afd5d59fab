"""Writes a phantom cohort in the raw layout of a data set, with the truth beside it, on any number of processes.

No axes or units. Everything follows from the request, bit for bit; an interrupted call goes on where it stopped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from simcrop.errors import SimcropError
from simcrop.parallel.processes import each
from simcrop.phantom.finished import note_finished, volumes_of_finished
from simcrop.phantom.grid import SIZES, Difficulty
from simcrop.phantom.layouts.btcv import BTCV
from simcrop.phantom.layouts.cc_ccii import CC_CCII
from simcrop.phantom.layouts.ct_rate import CT_RATE
from simcrop.phantom.layouts.folder import FOLDER
from simcrop.phantom.layouts.luna16 import LUNA16
from simcrop.phantom.layouts.organ_texts import write_organ_texts
from simcrop.phantom.layouts.rad_chestct import RAD_CHESTCT
from simcrop.phantom.layouts.rexgrounding import REXGROUNDING
from simcrop.phantom.layouts.tree import Entry, Request, Tree, start_folder, write_file
from simcrop.phantom.patient import draw_patient
from simcrop.phantom.truth import to_json_lines

TREES: dict[str, Tree] = {
    "ct-rate": CT_RATE,
    "rad-chestct": RAD_CHESTCT,
    "cc-ccii": CC_CCII,
    "luna16": LUNA16,
    "btcv": BTCV,
    "rexgrounding": REXGROUNDING,
    "folder": FOLDER,
}
RELEASES, DIFFICULTIES = ("v1", "v2"), get_args(Difficulty)
WITH_ORGANS = ("ct-rate", "folder")


@dataclass(frozen=True)
class Share:
    """Patients that one process writes together, by their numbers."""

    out: Path
    request: Request
    numbers: tuple[int, ...]


def write_cohort(out: Path, request: Request, workers: int = 1) -> int:
    """The cohort of `request` under `out`; the number of its volumes. Tables come last."""
    check_request(request)
    if workers < 1:
        raise SimcropError("bad-setting", f"need at least 1 worker, got {workers}")
    start_folder(out, request)
    if (finished := volumes_of_finished(out)) is not None:
        return finished
    shares = shares_of(out, request)
    written = map(write_share, shares) if workers == 1 else each(write_share, shares, workers, died)
    entries = in_order(written)
    TREES[request.layout].finish(out, entries)
    if request.organs:
        write_organ_texts(out, entries)
    truth = [sentence for entry in entries for sentence in entry.truth]
    write_file(out / "truth" / "sentences.jsonl", to_json_lines(truth).encode())
    volumes = sum(len(entry.volumes) for entry in entries)
    note_finished(out, volumes)
    return volumes


def write_ct_rate(
    out: Path, patients: int, seed: int, size: str, release: str = "v2", difficulty: str = "real"
) -> int:
    """A cohort in the layout that the paper trains on."""
    return write_cohort(out, Request("ct-rate", patients, seed, size, difficulty, release))


def check_request(request: Request) -> None:
    """Every value of the request, refused with what it could be."""
    for name, value, known in (
        ("layout", request.layout, tuple(TREES)),
        ("size", request.size, tuple(SIZES)),
        ("difficulty", request.difficulty, DIFFICULTIES),
        ("release", request.release, RELEASES),
    ):
        if value not in known:
            raise SimcropError(
                "bad-setting", f"phantom {name} must be one of {', '.join(known)}, got {value!r}"
            )
    if request.organs and request.layout not in WITH_ORGANS:
        raise SimcropError(
            "bad-setting",
            f"organ maps are written with the layouts {', '.join(WITH_ORGANS)}, not {request.layout}",
        )
    if request.patients < 1:
        raise SimcropError(
            "bad-setting", f"a phantom cohort needs at least 1 patient, got {request.patients}"
        )
    if request.seed < 0:
        raise SimcropError("bad-setting", f"the seed must be 0 or more, got {request.seed}")


def shares_of(out: Path, request: Request) -> list[Share]:
    numbers, together = range(1, request.patients + 1), TREES[request.layout].together
    return [
        Share(out, request, tuple(numbers[start : start + together]))
        for start in range(0, request.patients, together)
    ]


def write_share(share: Share) -> tuple[int, list[Entry]]:
    """Scans and masks that are not there yet; what the tables will say of them, and where it belongs."""
    tree, request = TREES[share.request.layout], share.request
    difficulty = cast(Difficulty, request.difficulty)
    patients = [draw_patient(request.seed, number, difficulty) for number in share.numbers]
    tree.write(share.out, request, patients)
    return share.numbers[0], [tree.entry(request, patient) for patient in patients]


def in_order(written: Iterable[tuple[int, list[Entry]]]) -> list[Entry]:
    """Entries by their patients' numbers, whichever process was first."""
    return [entry for _, entries in sorted(written, key=lambda part: part[0]) for entry in entries]


def died(share: Share) -> tuple[int, list[Entry]]:
    raise SimcropError(
        "worker-died",
        f"the process that wrote patient {share.numbers[0]} was killed, perhaps for its memory; "
        "fewer workers need less, the same command continues",
    )
