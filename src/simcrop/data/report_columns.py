"""A report out of the columns of a table: findings, impression, a whole report, whichever of them are filled.

No axes; text in, text out. What stands in the column of a part is that part. Any of the columns may hold the whole
report, as exports have it: then it is cut at its heads, and gives what no column of its own states.
"""

from simcrop.data.report import Report
from simcrop.data.reports.heads import NO_FINDINGS, Sections, cut_at_heads
from simcrop.data.reports.signature import without_signature


def report_in_columns(findings: str, impression: str, whole: str) -> Report:
    """Empty text for an empty cell."""
    if whole and not (findings or impression):
        found = cut_at_heads(whole)
        return Report(found.findings, found.impression, found.headed, found.note)
    seen, made, rest = cell_of_findings(findings), cell_of_impression(impression), cut_at_heads(whole)
    source = next((one for one in (seen, rest, made) if one.findings), seen)
    said = next((one.impression for one in (made, seen, rest) if one.impression), "")
    missing = NO_FINDINGS if said and not source.findings else ""
    return Report(source.findings, said, source.headed, missing or source.note)


def cell_of_findings(cell: str) -> Sections:
    """Without a head all of it is findings."""
    found = cut_at_heads(cell)
    if found.headed and Report(found.findings, found.impression).text:
        return found
    return Sections(without_signature(cell), "", headed=True, note="")


def cell_of_impression(cell: str) -> Sections:
    """What stands before its head is cut off where that says that it is no impression."""
    found = cut_at_heads(cell)
    if found.impression and (found.has_findings or not found.findings):
        return found
    return Sections("", without_signature(cell), headed=True, note="")
