"""A report out of columns: what a column states is taken, and what none states is cut out of a whole report."""

import pytest

from simcrop.data.report_columns import report_in_columns
from simcrop.data.reports.heads import NO_FINDINGS, NO_HEAD

WHOLE = "TECHNIQUE: CT chest.\nFINDINGS: Clear lungs.\nIMPRESSION: Normal."


@pytest.mark.parametrize(
    ("findings", "impression", "whole", "seen", "made", "note"),
    [
        ("", "", WHOLE, "Clear lungs.", "Normal.", ""),
        ("", "No tumour.", WHOLE, "Clear lungs.", "No tumour.", ""),
        ("A cyst.", "", WHOLE, "A cyst.", "Normal.", ""),
        ("A cyst.", "No tumour.", WHOLE, "A cyst.", "No tumour.", ""),
        (WHOLE, "", "", "Clear lungs.", "Normal.", ""),
        (WHOLE, "No tumour.", "", "Clear lungs.", "No tumour.", ""),
        ("", WHOLE, "", "Clear lungs.", "Normal.", ""),
        ("A cyst.", WHOLE, "", "A cyst.", "Normal.", ""),
        ("A cyst.", "IMPRESSION: Normal.", "", "A cyst.", "Normal.", ""),
        ("A cyst.", "Stable. Conclusion: Normal.", "", "A cyst.", "Stable. Conclusion: Normal.", ""),
        ("Clear lungs.", "Normal.", "", "Clear lungs.", "Normal.", ""),
        ("", "No tumour.", "Clear lungs.", "Clear lungs.", "No tumour.", NO_HEAD),
        ("", "No tumour.", "", "", "No tumour.", NO_FINDINGS),
        ("IMPRESSION: Normal.", "Normal.", "", "", "Normal.", NO_FINDINGS),
        ("", "", "", "", "", ""),
    ],
)
def test_each_part_comes_from_the_column_that_states_it(
    findings: str, impression: str, whole: str, seen: str, made: str, note: str
) -> None:
    report = report_in_columns(findings, impression, whole)
    assert (report.findings, report.impression, report.note) == (seen, made, note)
