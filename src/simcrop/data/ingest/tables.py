"""The tables of a cohort, made from the listing and the journal alone: the same inputs give the same bytes of content.

Axes of shapes: x, y, z. Affines are 16 numbers, row by row, voxel index -> RAS+ mm.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from simcrop.data.ingest.job import mask_is_refused
from simcrop.data.ingest.journal import Record
from simcrop.data.layouts.raw import Listing, RawStudy
from simcrop.data.report import sentences
from simcrop.data.store.findings import FINDINGS_SCHEMA, finding_rows
from simcrop.data.store.format import COHORT, FINDINGS, LEDGER, STUDIES
from simcrop.data.store.schema import LABEL, LEDGER_COLUMNS, LEDGER_SCHEMA, NAMELESS, STUDY_SCHEMA
from simcrop.files.tables import write_parquet
from simcrop.files.whole import write_whole, writing

FROM_RECORD = ("checksum", "status", "source_shape", "source_affine", "shape", "affine")


def write_tables(
    out: Path, settings: Record, listing: Listing, records: dict[str, Record]
) -> tuple[int, int]:
    """`studies.parquet`, `ledger.parquet`, and last `cohort.json`, which declares the cohort whole: taken, refused."""
    with writing(out):
        (out / COHORT).unlink(missing_ok=True)
    taken = [study for study in listing.studies if records[study.id]["status"] == "taken"]
    names = list(dict.fromkeys(name for study in listing.studies for name in study.labels))
    schema = STUDY_SCHEMA | {f"{LABEL}{name}": pl.Int8() for name in names}
    named = "pseudonyms" not in settings
    rows = [study_row(study, records[study.id], names, named) for study in taken]
    entries = ledger_rows(listing, records, named)

    write_parquet(out / STUDIES, pl.DataFrame(rows, schema))
    if any(study.marked for study in taken):
        marked = [(s.id, s.marked, (mask_of(records[s.id]) or {}).get("parts")) for s in taken]
        write_parquet(out / FINDINGS, pl.DataFrame(finding_rows(marked), FINDINGS_SCHEMA))
    write_parquet(out / LEDGER, pl.DataFrame(entries, LEDGER_SCHEMA))
    masks = [mask for study in taken if (mask := mask_of(records[study.id]))]
    counts = {"taken": len(taken), "refused": len(entries) - len(taken), "reports": reports(taken)}
    facts = settings | {
        "counts": counts | {"masks": len(masks)},
        "split": split_facts(listing),
        "classes": class_names(listing, masks),
        **({"made_by": listing.made_by} if listing.made_by else {}),
    }
    write_whole(out / COHORT, json.dumps(facts, indent=2).encode() + b"\n")
    return counts["taken"], counts["refused"]


def split_facts(listing: Listing) -> Record:
    """Whose split it is, and how ours was drawn, so that two cohorts can be compared."""
    split = listing.split
    drawn = {"seed": split.seed, "shares": split.shares, "hash": split.hash} if split else {}
    return {"kind": split.kind if split else listing.split_kind} | drawn


def mask_of(record: Record) -> Record | None:
    """What the journal says of a scan's mask, if there is one and it was stored."""
    return record["mask"] if record["mask"] and record["mask"]["status"] == "taken" else None


def class_names(listing: Listing, masks: list[Record]) -> dict[str, str]:
    """What the numbers in the masks stand for: in the data set's words, or, where it has none, by their number. Those
    of findings stand for something else in every scan, see `store.findings`.
    """
    if not masks or any(study.marked for study in listing.studies):
        return {}
    found = {number: f"class {number}" for mask in masks for number in mask["values"]}
    return {str(number): name for number, name in sorted((listing.classes or found).items())}


def study_row(study: RawStudy, record: Record, names: list[str], named: bool) -> Record:
    """One taken volume: what the listing says now, what the journal says of its voxels, and if `named` its files."""
    mask = mask_of(record) or {}
    return {
        "id": study.id,
        "patient": study.patient,
        "scan": study.scan,
        "split": study.split,
        "findings": study.findings,
        "impression": study.impression,
        "sentences": len(sentences(study.findings)),
        "source_path": str(study.path) if named else NAMELESS,
        "mask_path": (str(study.mask) if named else NAMELESS) if mask else None,
        "mask_checksum": mask.get("checksum"),
        "source_mask_checksum": mask.get("source_checksum"),
        "mask_values": mask.get("values"),
        "hu_decision": json.dumps(record["hu_decision"]),
        **{name: record[name] for name in FROM_RECORD},
        **{f"{LABEL}{name}": study.labels.get(name) for name in names},
    }


def ledger_rows(listing: Listing, records: dict[str, Record], named: bool) -> list[Record]:
    """One line per input: first the scans in their order, each with its mask if that was refused, then what could be
    none.
    """
    first_with: dict[str, str] = {}
    rows = []
    for study in listing.studies:
        record = records[study.id]
        mask = record["mask"] if mask_is_refused(record) else None
        parts = [record["sentence"], *([f"its mask was refused: {mask['reason']}"] if mask else ())]
        if record["status"] == "taken":
            parts += filter(None, [(mask_of(record) or {}).get("note")])
            first = first_with.setdefault(record["checksum"], study.id)
            parts += study.notes if first == study.id else (*study.notes, f"same voxels as {first}")
        path = str(study.path) if named else NAMELESS
        rows.append(entry(study.id, path, record["status"], record["reason"], parts))
        if mask:
            path = str(study.mask) if named else NAMELESS
            rows.append(entry(f"{study.id} mask", path, "refused", mask["reason"], [mask["sentence"]]))
    for refusal in listing.refusals:
        path = str(refusal.path) if refusal.path else None
        rows.append(entry(refusal.name, path, "refused", refusal.reason, [refusal.sentence]))
    return rows


def entry(id: str, path: str | None, status: str, reason: str, parts: Iterable[str]) -> Record:
    words = (id, path, status, reason, "; ".join(parts))
    return dict(zip(LEDGER_COLUMNS, map(as_text, words), strict=True))


def as_text(word: str | None) -> str | None:
    """A name may be bytes that are no text, which the ledger has to show all the same."""
    return None if word is None else word.encode(errors="backslashreplace").decode()


def reports(studies: list[RawStudy]) -> int:
    """Studies with at least a word of a report."""
    return sum(bool(study.findings.strip() or study.impression.strip()) for study in studies)
