"""The page of `simcrop check`: a cohort for a lab meeting, what to look at first, then part by part.

No axes; lengths in mm, values in HU. Studies are named by their ids; no patient, path or report is shown.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from simcrop.data.quality.facts import Outlier, count_by
from simcrop.data.quality.geometry import cut_by
from simcrop.data.quality.histograms import BONE, TISSUES, Histograms, Tissue
from simcrop.data.quality.notes import Noted
from simcrop.figures.bars import draw_histogram, draw_shares, side_by_side
from simcrop.figures.page import Page, written
from simcrop.figures.spectrum import draw_spectrum
from simcrop.tasks.cohorts.check_words import HU_SOURCES, decision_of, first_ids, in_bytes, interval, short
from simcrop.tasks.cohorts.checked import Checked

MOST_ROWS = 15
WORDS_USUAL, SENTENCES_USUAL = (30.0, 600.0), (3.0, 60.0)


def write_check_page(checked: Checked, path: Path) -> None:
    """The whole page, from the facts to the masks."""
    page = Page("Cohort check", lead(checked))
    page.figures(tiles(checked))
    add_first_look(page, checked)
    add_pictures(page, checked)
    add_numbers(page, checked)
    add_geometry(page, checked)
    add_refusals(page, checked)
    add_duplicates(page, checked)
    add_reports(page, checked)
    add_labels(page, checked)
    add_masks(page, checked)
    page.write(path)


def lead(checked: Checked) -> str:
    """Where the scans come from and how they were looked at."""
    spacing = " × ".join(f"{mm:g}" for mm in checked.cohort.spacing_mm)
    looked = (
        f"All {written(checked.seen.read)} volumes were read and compared with their checksums"
        if checked.seen.verified
        else f"{written(checked.seen.read)} volumes, evenly chosen, were read; checksums were not compared"
    )
    return f"Scans ingested from the layout {checked.facts.get('layout', 'unknown')}, stored at {spacing} mm. {looked}."


def tiles(checked: Checked) -> dict[str, object]:
    """Key numbers."""
    index = checked.cohort.index
    splits = count_by(index["split"])
    numbers: dict[str, object] = {
        "scans": len(checked.cohort),
        "patients": index["patient"].n_unique(),
        "inputs refused": sum(refused.count for refused in checked.refused),
        "on disk": in_bytes(checked.bytes),
        "scans with a report": len(checked.cohort) - len(checked.reports.empty),
        **{f"in split {name or '(none)'}": count for name, count in splits.items()},
    }
    if digest := checked.facts.get("split", {}).get("hash"):
        numbers["split hash"] = str(digest)[:12]
    return numbers


def add_first_look(page: Page, checked: Checked) -> None:
    """What a person should open first."""
    rows = [[what, len(ids), first_ids(ids)] for what, ids in checked.flagged.items()]
    if checked.crossing:
        rows.append(["patients in more than one split", checked.crossing, "not named here"])
    text = "Worth a look before anything is trained on this cohort." if rows else "Nothing stands out."
    page.section("What stands out", text)
    if rows:
        page.table(rows, ["what", "how many", "studies"], "Full lists are in metrics.json.")


def add_pictures(page: Page, checked: Checked) -> None:
    """Thumbnails with the crop box, and what the box cuts away."""
    spec, cohort = checked.spec, checked.cohort
    wanted = " × ".join(f"{n * mm:.0f}" for n, mm in zip(spec.shape, spec.spacing_mm, strict=True))
    voxels = " × ".join(map(str, spec.shape))
    grid = " × ".join(f"{mm:g}" for mm in spec.spacing_mm)
    cuts = ", ".join(f"{count} along {axis}" for axis, count in cut_by(cohort, spec).items() if count)
    text = (
        f"The box is what a network sees of a scan in its middle: {voxels} voxels of {grid} mm, {wanted} mm. "
        + (f"Of {len(cohort)} scans it cuts {cuts}." if cuts else "It holds every scan whole.")
    )
    if not np.allclose(spec.spacing_mm, cohort.spacing_mm, rtol=1e-4):
        text += " The cohort is stored at another spacing, so scans would be resampled while training."
    page.section("Scans", text)
    page.pictures(
        checked.seen.pictures,
        f"{len(checked.seen.pictures)} scans, evenly chosen: axial, coronal, sagittal cut through the middle, window "
        "−1350 to 150 HU. The patient's right is on the left, the front on the left of the sagittal cut.",
    )


def add_numbers(page: Page, checked: Checked) -> None:
    """The HU histogram against expectation."""
    seen = checked.seen.numbers
    page.section(
        "Hounsfield units",
        "The fields mark where the commonest value of each tissue is expected in a chest CT. A cohort whose rescale "
        "went wrong has its peaks elsewhere.",
    )
    if not len(seen):
        return
    outlier_ids = [found.id for found in checked.hu_outliers]
    page.drawing(
        draw_spectrum(seen, outlier_ids),
        f"Share of voxels per 10 HU over {written(len(seen))} scans: median, and the field between the 5th and the "
        "95th percentile. Red: the first few scans that are far off. Numbers outside the picture are not drawn.",
    )
    page.table(
        [tissue_row(tissue, seen) for tissue in (*TISSUES, BONE)],
        ["tissue", "HU", "share", "in most scans", "peak expected", "peak", "in most scans"],
        "Shares of all voxels of a scan, and HU of the peak: median over the scans, then 5th to 95th percentile. A "
        "peak counts where there is enough of the tissue.",
    )
    decisions = Counter(decision_of(text) for text in checked.cohort.index["hu_decision"].to_list())
    page.table(
        [[HU_SOURCES.get(name, name), count] for name, count in decisions.most_common()],
        ["HU by", "scans"],
    )
    add_outliers(page, checked.hu_outliers, "Scans whose HU are far off, the furthest first.")


def tissue_row(tissue: Tissue, seen: Histograms) -> list[object]:
    """Share and peak of one tissue over the scans."""
    share, within = seen.share(tissue), interval(*tissue.within)
    shares = np.quantile(share, (0.05, 0.95))
    row: list[object] = [
        tissue.name,
        within,
        f"{np.median(share):.1%}",
        f"{shares[0]:.1%} to {shares[1]:.1%}",
    ]
    peaks = seen.peak_hu(tissue)
    peaks = peaks[np.isfinite(peaks)]
    if tissue is BONE or not len(peaks):
        return [*row, "–", "–", "–"]
    low, high = np.quantile(peaks, (0.05, 0.95))
    return [*row, interval(*tissue.peak), f"{np.median(peaks):.0f}".replace("-", "−"), interval(low, high)]


def add_outliers(page: Page, outliers: list[Outlier], caption: str) -> None:
    """Which studies, and why; those with the same to say share a row."""
    by_sentence: dict[str, list[str]] = {}
    for outlier in outliers:
        by_sentence.setdefault(outlier.sentence, []).append(outlier.id)
    rows = [[first_ids(tuple(ids)), sentence] for sentence, ids in by_sentence.items()]
    if rows:
        rest = sum(len(ids) for ids in list(by_sentence.values())[MOST_ROWS:])
        more = f" {written(rest)} more are in metrics.json." if rest else ""
        page.table(rows[:MOST_ROWS], ["study", "what"], caption + more)


def add_geometry(page: Page, checked: Checked) -> None:
    """Spacing and field of view of the scans as they came."""
    page.section(
        "Geometry",
        "Spacing and field of view of the scans in their files, before resampling: x to the patient's right, y to the "
        "front, z to the head. The pale field is what a chest CT usually has; bars outside it are red.",
    )
    panels = [draw_histogram(m.name, m.values, "mm", m.usual) for m in checked.geometry]
    page.drawing(side_by_side(panels), "Number of scans by length in mm.")
    add_outliers(
        page, checked.geometry_outliers, "Scans outside the usual, or unlike the rest of the cohort."
    )
    add_notes(page, checked.notes)


def add_notes(page: Page, notes: list[Noted]) -> None:
    """What the ledger says of the scans beside their HU, guesses first."""
    rest = len(notes) - MOST_ROWS
    more = f" {written(rest)} more are in metrics.json." if rest > 0 else ""
    rows = [[note.sentence, len(note.ids), first_ids(note.ids)] for note in notes[:MOST_ROWS]]
    if rows:
        caption = "What the ledger notes of scans that were taken. Sides and mm that are guessed are no measurements."
        page.table(rows, ["note", "how many", "studies"], caption + more)


def add_refusals(page: Page, checked: Checked) -> None:
    """Why inputs were turned away."""
    total = sum(refused.count for refused in checked.refused)
    text = f"{written(total)} inputs were refused; ledger.parquet has a line for each." if total else "None."
    page.section("Refusals", text)
    if total:
        rows = [[r.reason, r.count, short(r.id), r.sentence] for r in checked.refused]
        page.table(rows, ["reason", "count", "for example", "which says"])


def add_duplicates(page: Page, checked: Checked) -> None:
    """The same voxels under several names."""
    extra = sum(len(group.ids) - 1 for group in checked.duplicates)
    page.section(
        "Duplicates",
        f"Scans that repeat another one voxel by voxel: {written(extra)}. Duplicates in two splits spoil an evaluation."
        if extra
        else "No two scans have the same voxels.",
    )
    if extra:
        rows = [
            [first_ids(group.ids), len(group.ids), group.sentence] for group in checked.duplicates[:MOST_ROWS]
        ]
        rest = len(checked.duplicates) - MOST_ROWS
        more = f"{written(rest)} more groups are in metrics.json." if rest > 0 else ""
        page.table(rows, ["studies", "how many", "of"], more)


def add_reports(page: Page, checked: Checked) -> None:
    """Lengths, and what lacks its other half."""
    found = checked.reports
    there = found.words > 0
    text = f"{written(int(there.sum()))} of {written(len(there))} scans have a report."
    if found.without_scan:
        text += f" {written(len(found.without_scan))} reports have no scan."
    if found.headless:
        text += (
            " Whole reports without a known head, their findings taken from what no head names: "
            f"{written(len(found.headless))}."
        )
    if found.unsplit:
        text += (
            f" The findings of {written(len(found.unsplit))} reports give no sentence, so nothing of them can be "
            "aligned with the image."
        )
    page.section("Reports", text)
    if there.any():
        panels = [
            draw_histogram("words per report", found.words[there], "", WORDS_USUAL, whole=True),
            draw_histogram(
                "sentences in the findings", found.sentences[there], "", SENTENCES_USUAL, whole=True
            ),
        ]
        page.drawing(
            side_by_side(panels),
            "Number of scans by length of their report; empty ones are left out.",
        )
    missing = [["scan without report", short(id)] for id in found.empty[:MOST_ROWS]] if there.any() else []
    missing += [["report without scan", short(id)] for id in found.without_scan[:MOST_ROWS]]
    if missing:
        page.table(missing, ["missing pair", "study"], f"At most {MOST_ROWS} of each kind.")


def add_labels(page: Page, checked: Checked) -> None:
    """How often each label is there."""
    known = [label for label in checked.labels if label.known]
    text = (
        "Share of scans with the label, of those where it is known."
        if known
        else "This cohort has no labels."
    )
    page.section("Labels", text)
    if known:
        page.drawing(draw_shares([(label.name, label.positive, label.known) for label in checked.labels]))


def add_masks(page: Page, checked: Checked) -> None:
    """How many masks hold each class."""
    if checked.classes:
        page.section("Masks", "Share of masks that hold each class; scans without a mask do not count.")
        page.drawing(draw_shares([(found.name, found.positive, found.known) for found in checked.classes]))
