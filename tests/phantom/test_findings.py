"""Findings of every kind: where they lie, how dense and how large they are, and that none erases another."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from simcrop.errors import SimcropError
from simcrop.phantom.anatomy.body import LOBES
from simcrop.phantom.findings.finding import EASY_KINDS, LABELS, Finding
from simcrop.phantom.findings.kinds import DRAWS, draw_kinds
from simcrop.phantom.findings.parts import Blob, Part, middle
from simcrop.phantom.findings.samples import corners
from simcrop.phantom.grid import Frame, Grid, Points
from simcrop.phantom.patient import Patient, draw_patient
from simcrop.phantom.reporting.wording import fill

SEEDS = (3, 8)
BACKGROUND_HU = -850.0


@pytest.fixture(scope="module")
def one_each() -> list[tuple[Patient, Finding]]:
    """Two patients of each kind and difficulty, with that finding alone."""
    kinds_and_levels = [(kind, "real") for kind in LABELS] + [(kind, "easy") for kind in EASY_KINDS]
    drawn = [draw_patient(seed, 5, level, [kind]) for kind, level in kinds_and_levels for seed in SEEDS]
    return [(patient, patient.findings[0]) for patient in drawn]


@pytest.fixture(scope="module")
def cohort() -> list[Patient]:
    return [draw_patient(6, number, "real") for number in range(1, 61)]


@pytest.fixture(scope="module")
def easy_cohort() -> list[Patient]:
    return [draw_patient(4, number, "easy") for number in range(1, 81)]


def painted(patient: Patient, findings: tuple[Finding, ...], grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """HU and mask `(z, y, x)` of the findings alone, in lung without anything else."""
    hu = np.full(grid.shape[::-1], BACKGROUND_HU, np.float32)
    mask = np.zeros(grid.shape[::-1], np.uint8)
    frame = Frame(grid, patient.pose, slice(0, grid.shape[2]))
    for finding in findings:
        finding.paint(hu, mask, patient.anatomy, frame)
    return hu, mask


def marked(finding: Finding) -> list[Part]:
    return [part for part in finding.parts if part.marks]


def grid_around(patient: Patient, finding: Finding, spacing_mm: float) -> Grid:
    """A grid of cubes that holds every marked body of the finding."""
    mm = patient.pose.to_scanner(np.concatenate([corners(part) for part in marked(finding)]))
    low, high = mm.min(0) - 3 * spacing_mm, mm.max(0) + 3 * spacing_mm
    x, y, z = np.ceil((high - low) / spacing_mm).astype(int).tolist()
    a, b, c = ((low + high) / 2).tolist()
    return Grid((x, y, z), (spacing_mm, spacing_mm, spacing_mm), (a, b, c))


def marked_points(patient: Patient, finding: Finding, grid: Grid) -> Points:
    """Patient mm of the voxels that the mask gives to a finding."""
    points = Frame(grid, patient.pose, slice(0, grid.shape[2])).points
    inside = painted(patient, (finding,), grid)[1] == finding.mask_value
    x, y, z = (np.broadcast_to(c, inside.shape)[inside] for c in (points.x, points.y, points.z))
    return Points(x, y, z)


def spacing_for(finding: Finding) -> float:
    """Seven voxels across the thinnest body, as far as three million voxels allow."""
    at = np.concatenate([corners(part) for part in marked(finding)])
    affordable = float(np.prod(at.max(0) - at.min(0)) / 3e6) ** (1 / 3)
    return max(affordable, min(1.6, min(part.thin[0] for part in marked(finding)) / 7))


def words_agree(text: str, patient: Patient, finding: Finding) -> bool:
    """Whether the side that a text names is the side of the mask; in RAS+ the patient's left is where x is small."""
    x = marked_points(patient, finding, grid_around(patient, finding, spacing_for(finding))).x
    left, right = bool((x < 0).any()), bool((x > 0).any())
    return ("left" in text, "right" in text) == (left, right)


def test_there_are_18_kinds_and_each_can_be_drawn(one_each: list[tuple[Patient, Finding]]) -> None:
    assert len(LABELS) == 18
    assert set(DRAWS) == set(LABELS)
    assert Counter(finding.kind for _, finding in one_each) == Counter(2 * (list(LABELS) + list(EASY_KINDS)))
    assert all(finding.volume_ml > 0 for _, finding in one_each)


def test_masks_lie_in_the_lobe_and_on_the_side_of_the_finding(
    one_each: list[tuple[Patient, Finding]],
) -> None:
    seen = set()
    for patient, finding in one_each:
        if finding.lobe is None:
            continue
        at = marked_points(patient, finding, grid_around(patient, finding, 2.0))
        assert len(at.x)
        sides = ("left", "right") if finding.side == "both" else (finding.side,)
        depth = [patient.anatomy.lung(at, side, finding.lobe) for side in sides]
        assert (np.min(depth, 0) <= 0.5).all(), finding.kind
        assert all((one <= 0).any() for one in depth), "both means both"
        seen.add(finding.kind)
    assert len(seen) == 11


def test_the_side_in_words_is_the_side_of_the_mask_and_a_swap_would_show(
    one_each: list[tuple[Patient, Finding]],
) -> None:
    sided = [(p, f) for p, f in one_each if f.side in ("left", "right") and f.kind != "Medical material"]
    assert len({f.kind for _, f in sided}) >= 7
    for patient, finding in sided:
        swapped = replace(finding, side="left" if finding.side == "right" else "right")
        assert words_agree(fill("in the {side} lung", finding), patient, finding)
        assert not words_agree(fill("in the {side} lung", swapped), patient, finding)


def test_a_port_lies_on_the_side_that_is_named() -> None:
    for number in range(1, 9):
        patient = draw_patient(2, number, "easy", ["Medical material"])
        port = patient.findings[0].parts[0].centre
        assert (port[0] > 0) == (patient.findings[0].side == "right")
        assert port[1] > 60, "in front of the chest"


def test_density_inside_is_within_the_stated_range(one_each: list[tuple[Patient, Finding]]) -> None:
    for patient, finding in one_each:
        if finding.kind == "Cardiomegaly":  # painted by the anatomy, looked at below
            continue
        hu, mask = painted(patient, (finding,), grid_around(patient, finding, spacing_for(finding)))
        inside = eroded(mask == finding.mask_value)
        low, high = finding.hu_range
        assert inside.any() or finding.volume_ml < 2, finding.kind
        if inside.any():  # slopes of uneven bodies are not quite distances, so a few voxels are mixed
            within = (hu[inside] >= low - 0.5) & (hu[inside] <= high + 0.5)
            assert within.mean() > 0.97, finding.kind
            assert low <= np.median(hu[inside]) <= high, finding.kind
        if finding.known_hu is None and inside.any():
            assert np.median(np.abs(hu[inside] - BACKGROUND_HU)) > 30, "it differs from the lung around it"


def eroded(inside: np.ndarray) -> np.ndarray:
    """Voxels whose 26 neighbours belong too, so that they are wholly covered."""
    core = inside
    for axis in range(3):
        core = core & np.roll(core, 1, axis) & np.roll(core, -1, axis)
    return core


def test_an_enlarged_heart_has_the_density_of_a_heart() -> None:
    patient = draw_patient(3, 5, "real", ["Cardiomegaly"])
    finding, grid = patient.findings[0], patient.grid("tiny")
    hu = patient.scans("tiny")[0][0]
    inside = eroded(painted(patient, (finding,), grid)[1] == 1)
    low, high = finding.hu_range
    assert ((hu[inside] > low - 40) & (hu[inside] < high + 40)).mean() > 0.9, "but for noise and the root"


def test_volumes_on_two_grids_are_within_five_percent_of_the_analytic_one(
    one_each: list[tuple[Patient, Finding]],
) -> None:
    for patient, finding in one_each:
        for spacing in (spacing_for(finding), 1.25 * spacing_for(finding)):
            at = marked_points(patient, finding, grid_around(patient, finding, spacing))
            ml = len(at.x) * spacing**3 / 1000
            # Five percent from a thousand voxels on; fewer cannot be counted so well.
            tolerance = max(0.05, 1.6 / math.sqrt(len(at.x)))
            assert ml == pytest.approx(finding.volume_ml, rel=tolerance), (finding.kind, spacing)


def test_the_analytic_volume_of_balls_is_that_of_balls() -> None:
    inner = [draw_patient(5, number, "easy", ["Lung nodule"]).findings[0] for number in range(1, 9)]
    balls = [[part for part in f.parts if isinstance(part, Blob)] for f in inner]
    assert {len(of_one) for of_one in balls} > {1}, "one ball, or several"
    exact = [
        f.volume_ml / sum(math.pi / 6 * (2 * ball.radii[0]) ** 3 / 1000 for ball in of_one)
        for f, of_one in zip(inner, balls, strict=True)
    ]
    assert max(exact) == pytest.approx(1, abs=0.02)
    assert min(exact) > 0.8, "a ball near a fissure may lose a cap"


def test_no_finding_erases_another(cohort: list[Patient]) -> None:
    """Painted together, every finding keeps the voxels that it has alone."""
    crowded = [patient for patient in cohort if len(patient.findings) >= 4][:12]
    assert len(crowded) == 12
    for patient in crowded:
        grid = patient.grid("small")
        _, together = painted(patient, patient.findings, grid)
        for finding in patient.findings:
            alone = painted(patient, (finding,), grid)[1] == finding.mask_value
            lost = alone & (together != finding.mask_value)
            assert lost.sum() <= 1 + 0.01 * alone.sum(), finding.kind


def test_mask_values_count_from_one_in_the_order_of_the_findings(cohort: list[Patient]) -> None:
    for patient in cohort:
        assert [finding.mask_value for finding in patient.findings] == list(
            range(1, len(patient.findings) + 1)
        )


def test_an_easy_cohort_has_eight_kinds_each_in_a_quarter_of_the_patients(
    easy_cohort: list[Patient],
) -> None:
    assert len(EASY_KINDS) == 8
    assert {finding.kind for finding in all_findings(easy_cohort)} == set(EASY_KINDS)
    drawn = [draw_kinds(np.random.default_rng(number), "easy") for number in range(1500)]
    for kind in EASY_KINDS:
        assert 0.2 < sum(kind in kinds for kinds in drawn) / len(drawn) < 0.3, kind
        assert 0.1 < sum(f.kind == kind for f in all_findings(easy_cohort)) / len(easy_cohort) < 0.4
    assert 0.17 < sum(not kinds for kinds in drawn) / len(drawn) < 0.23
    assert max(len(patient.findings) for patient in easy_cohort) == 4


def test_easy_lesions_are_large(easy_cohort: list[Patient]) -> None:
    sizes = [f.size_mm for f in all_findings(easy_cohort) if f.kind == "Lung nodule"]
    assert min(size or 0 for size in sizes) >= 14
    assert min(f.volume_ml for f in all_findings(easy_cohort)) > 1.4


def test_place_does_not_tell_the_kind(easy_cohort: list[Patient]) -> None:
    places: dict[str, Counter[tuple[str | None, str | None]]] = {}
    for finding in all_findings(easy_cohort):
        places.setdefault(finding.kind, Counter())[(finding.side, finding.lobe)] += 1
    for kind in ("Lung nodule", "Consolidation", "Lung opacity", "Atelectasis", "Emphysema"):
        assert set(places[kind]) <= set(LOBES)
        assert len(places[kind]) >= 4, kind
        assert max(places[kind].values()) < 0.55 * places[kind].total(), kind
    for kind in ("Pleural effusion", "Medical material"):
        left = sum(n for (side, _), n in places[kind].items() if side == "left")
        assert 0.2 < left / places[kind].total() < 0.8, kind


def all_findings(patients: list[Patient]) -> Iterator[Finding]:
    return (finding for patient in patients for finding in patient.findings)


def test_a_real_cohort_has_all_18_kinds_about_as_often_as_they_are_seen(cohort: list[Patient]) -> None:
    assert len({finding.kind for finding in all_findings(cohort)}) >= 16
    drawn = [draw_kinds(np.random.default_rng(number), "real") for number in range(1500)]
    for kind, (_, share) in DRAWS.items():
        assert sum(kind in kinds for kinds in drawn) / len(drawn) == pytest.approx(share, abs=0.06), kind
    assert 0.08 < sum(not kinds for kinds in drawn) / len(drawn) < 0.18


def test_a_kind_for_which_no_room_is_left_is_rare(cohort: list[Patient]) -> None:
    wanted = sum(len(draw_kinds(np.random.default_rng((6, n)), "real")) for n in range(400)) / 400
    assert np.mean([len(patient.findings) for patient in cohort]) > wanted - 0.6


def test_real_lesions_have_natural_sizes(cohort: list[Patient]) -> None:
    nodules = [f.size_mm or 0 for f in all_findings(cohort) if f.kind == "Lung nodule"]
    assert 4 <= min(nodules) < 7
    assert max(nodules) <= 30
    assert np.median(nodules) < 14
    fluid = [draw_patient(9, n, "real", ["Pericardial effusion"]).findings[0] for n in range(1, 11)]
    assert all(90 < finding.volume_ml < 410 for finding in fluid)
    several = [f for f in all_findings(cohort) if f.kind == "Lung nodule" and f.count > 1]
    assert several
    for finding in several:
        assert finding.count == len(finding.parts)
        sizes = [part.thin[0] for part in finding.parts]
        assert finding.size_mm == max(sizes)


def test_the_same_kind_may_come_twice_in_two_places(cohort: list[Patient]) -> None:
    twice = [p for p in cohort if max(Counter(f.kind for f in p.findings).values(), default=0) > 1]
    assert twice
    for patient in twice:
        for a, b in pairwise(patient.findings):
            assert a.parts != b.parts


def test_the_same_seed_gives_the_same_findings_to_the_bit() -> None:
    for difficulty in ("easy", "real"):
        one, two = (draw_patient(14, 6, difficulty) for _ in range(2))
        assert one.findings == two.findings != ()
        for a, b in zip(one.scans("tiny"), two.scans("tiny"), strict=True):
            assert np.array_equal(a, b)
    assert draw_patient(14, 6, "real").findings != draw_patient(15, 6, "real").findings


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(SimcropError, match="'Lung nodul'"):
        draw_patient(1, 1, "real", ["Lung nodul"])


def test_asked_for_findings_are_drawn_and_nothing_else() -> None:
    patient = draw_patient(1, 1, "real", ["Lung nodule", "Cardiomegaly", "Lung nodule"])
    assert [finding.kind for finding in patient.findings] == ["Cardiomegaly", "Lung nodule", "Lung nodule"]
    assert draw_patient(1, 1, "real", []).findings == ()
    assert middle(((0.0, 2.0, -4.0), (2.0, 6.0, 0.0))) == (1.0, 4.0, -2.0)
