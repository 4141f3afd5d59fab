"""Whole reports cut at heads in any dress; technique, history, comparison and signature are never findings."""

import pytest

from simcrop.data.report import split_at_heads
from simcrop.data.reports.heads import GUESSED, NO_FINDINGS, NO_HEAD

DRESSED = [
    "CT.FINDINGS:{f}.IMPRESSION:{i}",
    "EXAM:CT.HISTORY:cough.TECHNIQUE:helical.COMPARISON:none.FINDINGS:{f}.IMPRESSION:{i}",
    "EXAM: CT HISTORY: COUGH TECHNIQUE: HELICAL COMPARISON: NONE FINDINGS: {f} IMPRESSION: {i}",
    "ct chest findings:\n{f}\nimpression:\n{i}",
    "CT CHEST FINDINGS: {f}\nFINAL IMPRESSION: {i}",
    "Radiological findings:\n{f}\nOverall impression:\n{i}",
    "**FINDINGS:** {f}\n**IMPRESSION:** {i}",
    "**FINDINGS**: {f}\n\n**IMPRESSION**: {i}",
    "### **Findings:**\n{f}\n\n### **Impression:**\n{i}",
    "## Findings\n{f}\n## Impression\n{i}",
    "__FINDINGS:__ {f}\n__IMPRESSION:__ {i}",
    "`FINDINGS:` {f}\n`IMPRESSION:` {i}",
    "*** FINDINGS ***\n{f}\n*** IMPRESSION ***\n{i}",
    "-- Findings --\n{f}\n-- Impression --\n{i}",
    "[FINDINGS] {f}\n[IMPRESSION] {i}",
    "<FINDINGS>\n{f}\n<IMPRESSION>\n{i}",
    "FINDINGS\n--------\n{f}\n\nIMPRESSION\n=====\n{i}",
    "FINDINGS (CHEST): {f}\nIMPRESSION (CHEST): {i}",
    "FINDING(S): {f}\nIMPRESSION(S): {i}",
    "FINDINGS [CT]: {f}\nIMPRESSION [CT]: {i}",
    "FINDINGS - CHEST: {f}\nIMPRESSION - CHEST: {i}",
    "Findings of CT chest: {f}\nConclusion and recommendations: {i}",
    "- FINDINGS: {f}\n- IMPRESSION: {i}",
    "• Findings: {f}\n• Impression: {i}",
    "o Findings: {f}\no Impression: {i}",
    "> Findings: {f}\n> Impression: {i}",
    "1. FINDINGS: {f}\n2. IMPRESSION: {i}",
    "I. FINDINGS: {f}\nII. IMPRESSION: {i}",
    "A) Findings: {f}\nB) Impression: {i}",
    "FINDINGS - {f}\nIMPRESSION - {i}",
    "FINDINGS | {f}\nIMPRESSION | {i}",
    "FINDINGS\t{f}\nIMPRESSION\t{i}",
    "Findings :- {f}\nImpression :- {i}",
    "Findings.\n{f}\nImpression.\n{i}",
    "FINDINGS {f}\nIMPRESSION {i}",
    "CT chest. Findings: {f} Impression: {i}",
    "Findings:{f}.Impression:{i}",
    "FINDINGS/INTERPRETATION:\n{f}\nIMPRESSION:\n{i}",
    "Indication: cough\nTechnique: CT\nReport: {f}\nConclusion: {i}",
    "TECHNIQUE: Axial CT.\n{f}\n\nIMPRESSION: {i}",
    "Description:\n{f}\n\nOpinion:\n{i}",
    "Impression: {i}\nFindings: {f}",
    "FINDINGS: {f}\n\nIMPRESSION: {i}\n\nElectronically signed by Dr. Stone\n1/2/2020",
    "FINDINGS: {f} IMPRESSION: {i}\nDictated by: A. Stone",
    "CLINICAL INFORMATION\ncough\n\nPROCEDURE\nCT\n\nFINDINGS\n{f}\n\nCONCLUSION\n{i}",
    "TECHNIQUE: t\nFINDINGS: {f}\nRADIATION DOSE: 5 mGy\nIMPRESSION: {i}",
    "Clinical Impression: cough. Findings: {f}\nImpression: {i}",
    "{f}\n\nIMPRESSION: {i}",
    "TECHNIQUE: Axial CT.\nContrast was injected.\n{f}\nIMPRESSION: {i}",
    "{f}\nImpression: {i}\nSigned by A. Stone",
    "HISTORY: cough TECHNIQUE: CT chest FINDINGS: {f} IMPRESSION: {i}",
    "                    FINDINGS:\n  {f}\n\t\t\t\tIMPRESSION:\n  {i}",
    "Befund / Findings: {f}\nBeurteilung / Impression: {i}",
    "Teknik: BT\nBulgular:\n{f}\nSonuç:\n{i}",
    "BULGULAR:\n{f}\nSONUÇ VE ÖNERİLER:\n{i}",
    "Befund:\n{f}\nZusammenfassung:\n{i}",
    "INDICATION : toux\nTECHNIQUE : scanner\nRÉSULTATS :\n{f}\nCONCLUSION :\n{i}",
    "TECHNIQUE: scanner. Re\u0301sultat: {f} Conclusion: {i}",
    "TÉCNICA: TC de tórax.\n\nHALLAZGOS:\n{f}\n\nIMPRESIÓN DIAGNÓSTICA:\n{i}",
    "Indicación: tos.\nHallazgos: {f}\nImpresion: {i}",
    "TÉCNICA: TC de tórax.\n\n{f}\n\nCONCLUSIONES:\n{i}",
    "Quesito clinico: tosse\nTecnica: TC torace\nReperti:\n{f}\nConclusioni:\n{i}",
    "FINDINGS CHEST: {f}\nIMPRESSION CHEST: {i}",
    "F I N D I N G S\n{f}\nI M P R E S S I O N\n{i}",
    "Hx: cough\nTech: CT\nComp: none\nFindings: {f}\nImp: {i}",
    "Result: {f}. Interpretation: {i}",
    "Technique: CT.\n\n{f}\n\nResult: {i}",
    "CT CHEST WITH CONTRAST 3/4/2020\nHISTORY: cough\n{f}\nIMPRESSION: {i}",
    "Name: Stone\nAge/Sex: 55/M\nFINDINGS: {f}\nPage 1 of 2\nIMPRESSION: {i}\nPage 2 of 2",
]


@pytest.mark.parametrize("form", DRESSED)
def test_a_head_is_known_in_any_dress(form: str) -> None:
    report = split_at_heads(form.format(f="Lungs are clear", i="Normal chest"))
    assert (report.findings.rstrip("."), report.impression) == ("Lungs are clear", "Normal chest")
    assert report.headed


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        ("FINDINGS AND IMPRESSION: x", "x", ""),
        ("FINDINGS/IMPRESSION:\nx", "x", ""),
        ("Findings & Conclusion\nx", "x", ""),
        ("Impression and findings: x", "x", ""),
        ("Befund und Beurteilung: x", "x", ""),
        ("BULGULAR VE SONUÇ: x", "x", ""),
        ("HALLAZGOS E IMPRESIÓN: x", "x", ""),
        ("IMPRESSION: y", "", "y"),
        ("**IMPRESSION**\ny", "", "y"),
        ("TECHNIQUE: helical.\n\nIMPRESSION: y", "", "y"),
        ("IMPRESSION:\n1. a\n2. b\n\nRECOMMENDATION: c", "", "1. a\n2. b\n\nRECOMMENDATION: c"),
        ("CHEST FINDINGS: x\nABDOMEN FINDINGS: z", "x\nz", ""),
        ("Findings: x. Other findings: z. Impression: y", "x. Other findings: z.", "y"),
        (
            "Cardiac findings: x\nPulmonary findings: z\nImpression: y",
            "Cardiac findings: x\nPulmonary findings: z",
            "y",
        ),
        ("FINDINGS:\nComparison: None.\nLungs clear.\nHeart normal.", "Lungs clear.\nHeart normal.", ""),
        ("FINDINGS: Lungs clear. COMPARISON: None. Heart normal.", "Lungs clear.\nHeart normal.", ""),
        (
            "FINDINGS:\nLungs clear. Technique: poor breath hold. Heart normal.\nIMPRESSION: y",
            "Lungs clear.\nHeart normal.",
            "y",
        ),
        ("FINDINGS:\n\nTECHNIQUE: Helical.\n\nLungs clear.", "Lungs clear.", ""),
        ("FINDINGS: Contrast is seen in the gut. IMPRESSION: y", "Contrast is seen in the gut.", "y"),
        (
            "FINDINGS: Compared to the old study: stable.\nIMPRESSION: y",
            "Compared to the old study: stable.",
            "y",
        ),
        (
            "FINDINGS: Contrast: good filling. Dry.\nCONTRAST: 80 ml.\nClear.",
            "Contrast: good filling. Dry.\nClear.",
            "",
        ),
        (
            "FINDINGS:\nPatient: rotated.\nExam: 12/3/2019.\nPrior exam: 5 mm nodule.\nStudy: None.",
            "Patient: rotated.\nPrior exam: 5 mm nodule.",
            "",
        ),
        ("FINDINGS: x\n\nADDENDUM: z", "x\nz", ""),
        ("FINDINGS:\nPatient: Jane Stone\nClear.\nIMPRESSION: y", "Clear.", "y"),
        ("FINDINGS:\nPATIENT: STONE, JANE\nClear.\nIMPRESSION: y", "Clear.", "y"),
        (
            "FINDINGS:\nPatient: Jane Stone | DOB: 1/2/1960 | MRN: 123456\nClear.\nIMPRESSION: y",
            "Clear.",
            "y",
        ),
        ("FINDINGS:\nPATIENT: ARMS DOWN.\nClear.\nIMPRESSION: y", "PATIENT: ARMS DOWN.\nClear.", "y"),
        ("FINDINGS:\nPatient name: Jane Stone. DOB 1/2/1960. MRN 123456.\nClear.", "Clear.", ""),
        ("FINDINGS:\nDry.\nMRN 123456\nClear.", "Dry.\nClear.", ""),
        ("FINDINGS:\nDry.\nNHS number: 123 456 7890\nClear.", "Dry.\nClear.", ""),
        ("FINDINGS:\nDry.\nMedical record #: 12345\nClear.", "Dry.\nClear.", ""),
        ("FINDINGS:\nDry.\nPt. name: Jane Stone\nClear.", "Dry.\nClear.", ""),
        ("FINDINGS:\nDry.\nPatient's name: Jane Stone\nClear.", "Dry.\nClear.", ""),
        ("CT CHEST\nClinical: cough.\nThere is a mass.\nConclusion: mass.", "There is a mass.", "mass."),
        ("FINDINGS: LUNGS: Clear. PLEURA: Dry. IMPRESSION: NORMAL.", "LUNGS: Clear. PLEURA: Dry.", "NORMAL."),
    ],
)
def test_sections_go_where_they_belong(text: str, findings: str, impression: str) -> None:
    report = split_at_heads(text)
    assert (report.findings, report.impression, report.headed) == (findings, impression, True)


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("Lungs are clear. The findings are benign.", "Lungs are clear. The findings are benign."),
        ("The findings: a nodule.", "The findings: a nodule."),
        ("Findings consistent with pneumonia.", "Findings consistent with pneumonia."),
        ("TECHNIQUE: Axial.\nLungs are clear.", "Lungs are clear."),
        ("HISTORY: cough\n\nLungs are clear.\n\nHeart is large.", "Lungs are clear.\n\nHeart is large."),
        ("History: cough. Lungs are clear.", "Lungs are clear."),
        ("The lungs are clear.\nElectronically signed by:\nJohn Stone, MD", "The lungs are clear."),
        ("CT CHEST REPORT\n\nLungs are clear.", "CT CHEST REPORT\n\nLungs are clear."),
        ("Technique: CT.", ""),
        ("", ""),
    ],
)
def test_a_report_without_a_known_head_says_so(text: str, findings: str) -> None:
    report = split_at_heads(text)
    assert (report.findings, report.impression, report.headed) == (findings, "", False)


@pytest.mark.parametrize(
    "line",
    [
        "cc: Dr. Stone",
        "Copy to: Dr. Jane Stone",
        "From: Dr. Stone",
        "Fax: 0123 456",
        "Hasta Adı: Ayşe Taş",
        "HASTA ADI SOYADI: AYŞE TAŞ",
        "Adı Soyadı : Ayşe Taş",
        "Hasta: Ayşe Taş",
        "Protokol No: 12345",
        "Name des Patienten: Hans Stein",
        "Geburtsdatum: 1.2.1960",
        "Paciente: Juan Piedra",
        "Nombre del paciente: Juan Piedra",
        "Nom du patient: Jean Pierre",
        "Médecin traitant: Dr Pierre",
    ],
)
def test_a_line_of_names_is_no_sentence_in_any_language(line: str) -> None:
    report = split_at_heads(f"FINDINGS:\nMass.\n{line}\nDry.\nIMPRESSION: y")
    assert (report.sentences, report.impression) == (["Mass.", "Dry."], "y")


@pytest.mark.parametrize("line", ["To: the left of it", "Hasta: kolları yanda", "Distribution: diffuse"])
def test_the_same_words_before_no_name_are_findings(line: str) -> None:
    assert split_at_heads(f"FINDINGS:\nMass.\n{line}\nDry.").sentences == ["Mass.", line, "Dry."]


@pytest.mark.parametrize(
    "aside", ["Comparison: None", "MRN: 1234", "Contrast: 80 ml iohexol", "History: cough"]
)
@pytest.mark.parametrize("head", ["FINDINGS:\n", ""])
def test_a_short_line_takes_no_findings_in_small_letters_with_it(aside: str, head: str) -> None:
    report = split_at_heads(f"{head}{aside}\nlungs are clear\nImpression: y")
    assert (report.findings, report.impression) == ("lungs are clear", "y")
    wrapped = (
        f"{head}Comparison: CT of March 2019 and the\nolder ones of 2017\nLungs are clear.\nImpression: y"
    )
    assert split_at_heads(wrapped).findings == "Lungs are clear."


HISTORY = "HISTORY: 70F, known COPD. Smoker."


@pytest.mark.parametrize(
    ("text", "findings", "impression", "note"),
    [
        (
            "HISTORY: cough. TECHNIQUE: CT without contrast. Clear lungs. Dry. IMPRESSION: y",
            "Clear lungs. Dry.",
            "y",
            GUESSED,
        ),
        (
            f"{HISTORY} TECHNIQUE: CT. Axial images were obtained. Dry. Clear lungs.",
            "Dry. Clear lungs.",
            "",
            NO_HEAD,
        ),
        ("CT CHEST\nTECHNIQUE: CTPA. Clear lungs.\nDry.\nIMPRESSION: y", "Clear lungs.\nDry.", "y", GUESSED),
        ("TECHNIQUE: CT. COMPARISON: None. CLEAR. IMPRESSION: Y", "CLEAR.", "Y", GUESSED),
        (
            "EXAM: CT HISTORY: COUGH LUNGS: CLEAR HEART: LARGE IMPRESSION: Y",
            "LUNGS: CLEAR HEART: LARGE",
            "Y",
            GUESSED,
        ),
        ("History: Mr. Stone has cough. Seen with i.v. contrast. Clear.", "Clear.", "", NO_HEAD),
        ("TECHNIQUE: CT. The lungs were scanned from the apices down.\nDry.\nIMPRESSION: y", "Dry.", "y", ""),
        (
            "TECHNIQUE: CT with contrast. Images were reviewed in lung windows. IMPRESSION: y",
            "",
            "y",
            NO_FINDINGS,
        ),
        (f"{HISTORY} IMPRESSION: y", "", "y", NO_FINDINGS),
        ("IMPRESSION: y", "", "y", NO_FINDINGS),
        ("Clear.\nIMPRESSION: y", "Clear.", "y", ""),
        ("FINDINGS: Clear.", "Clear.", "", ""),
        ("Clear.", "Clear.", "", NO_HEAD),
    ],
)
def test_findings_without_a_head_are_kept_with_a_note(
    text: str, findings: str, impression: str, note: str
) -> None:
    report = split_at_heads(text)
    assert (report.findings, report.impression, report.note) == (findings, impression, note)


@pytest.mark.parametrize(
    "text",
    [
        "Résultats superposables à ceux de l'examen antérieur.",
        "Los hallazgos son compatibles con neumonía. La impresión es de mejoría.",
        "Non reperti patologici. In conclusione quadro stabile.",
        "Reperti invariati rispetto al precedente.",
    ],
)
def test_words_of_heads_in_sentences_of_other_languages_are_none(text: str) -> None:
    report = split_at_heads(text)
    assert (report.findings, report.impression, report.note) == (text, "", NO_HEAD)
