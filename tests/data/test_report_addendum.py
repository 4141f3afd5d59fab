"""An addendum is part of the findings, in any dress; its head, its date and its end are no text."""

import pytest

from simcrop.data.report import split_at_heads

DRESSED = [
    "*** ADDENDUM ***\n{}\n*** END OF ADDENDUM ***",
    "ADDENDUM 1:\n{}",
    "ADDENDUM #2: {}",
    "Addendum (01/02/2020): {}",
    "Addendum 01/02/2020 10:15: {}",
    "ADDENDUM [**2020-1-2**]: {}",
    "ADDENDUM by Dr. A. Stone 1/2/2020:\n{}",
    "ADDENDUM TO REPORT DATED 1/2/2020\n{}",
    "Addendum #1 (Dr. Stone, 1/2/2020)\n{}",
    "ADDENDUM:\n01/02/2020 Dr. A. Stone\n{}",
    "ADDENDUM BEGINS\n{}\nADDENDUM ENDS",
    "## Addendum\n{}",
    "**ADDENDUM:** {}",
    "**ADDENDUM** {}",
    "-----ADDENDUM-----\n{}",
    "<ADDENDUM>\n{}",
    "ADDENDUM {}",
    "ADDENDUM - {}",
    "Final addendum: {}",
    "Addenda:\n{}",
    "ADDENDUM: FINDINGS: {}",
    "ADDENDUM FINDINGS: {}",
    "Signed: Dr. A. Stone\n\nADDENDUM: {}",
    "END OF REPORT\nADDENDUM: {} Electronically signed by A. Stone",
    "Reported by: A. Stone. ADDENDUM: {}",
]
SEEN = "There is an embolus."


@pytest.mark.parametrize("dress", DRESSED)
def test_an_addendum_below_the_report_follows_its_findings(dress: str) -> None:
    report = split_at_heads("FINDINGS: Clear.\nIMPRESSION: Normal.\n" + dress.format(SEEN))
    assert (report.findings, report.impression) == (f"Clear.\n{SEEN}", "Normal.")


@pytest.mark.parametrize(
    "above",
    [
        "ADDENDUM: {}\n\nHISTORY: Cough. Smoker.\n",
        "ADDENDUM: {}\n\nCT CHEST 1/2/2020\nHISTORY: Cough. Smoker.\n",
        "*** ADDENDUM ***\n{}\nSigned by A. Stone\n*** END OF ADDENDUM ***\nOriginal report\n",
    ],
)
def test_an_addendum_above_the_report_comes_before_its_findings(above: str) -> None:
    report = split_at_heads(above.format(SEEN) + "FINDINGS: Clear.\nIMPRESSION: Normal.")
    assert (report.findings, report.impression) == (f"{SEEN}\nClear.", "Normal.")


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        ("FINDINGS: x\nIMPRESSION: y\nADDENDUM 1:\nFINDINGS: z\nIMPRESSION: w", "x\nz", "y\nw"),
        ("FINDINGS: x\nIMPRESSION: y\nADDENDUM: Comparison: CT of 1/2/2019. Nodule.", "x\nNodule.", "y"),
        ("TECHNIQUE: CT. Lungs are clear. IMPRESSION: y\nADDENDUM: PE.", "Lungs are clear.\nPE.", "y"),
        ("IMPRESSION: y\nADDENDUM: PE.", "PE.", "y"),
        ("Lungs are clear.\nADDENDUM: PE.", "Lungs are clear.\nPE.", ""),
        ("FINDINGS: x\nIMPRESSION: y\nEND OF ADDENDUM", "x", "y"),
        ("FINDINGS: Clear. No addendum.", "Clear. No addendum.", ""),
        ("FINDINGS: Clear.\nAddendum will follow.", "Clear.\nAddendum will follow.", ""),
    ],
)
def test_what_an_addendum_says_goes_where_it_belongs(text: str, findings: str, impression: str) -> None:
    report = split_at_heads(text)
    assert (report.findings, report.impression) == (findings, impression)
