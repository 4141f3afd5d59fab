"""Tables as people save them: another encoding, lines without end, NUL bytes, columns shifted, two rows of one scan.

No axes or units. Each writes a small source, whose layout the first part of its name tells.
"""

import re
from collections.abc import Callable
from pathlib import Path

from damage import DAMAGE, Random
from scans import SCANS, SECRET

CT_RATE = "radiology_text_reports/train_reports.csv"
FOLDER = (
    "id,patient,split,findings,impression,label:Emphysema\r\n"
    f'ct,p1,train,"A nodule of {SECRET}, 5 mm.\nNo ""effusion"".",Nodule.,1\r\n'
    "other,p2,valid,Für Ärzte: klar.,,0\r\n"
)
REPORTS = f"VolumeName,Findings_EN,Impressions_EN\r\ntrain_1_a_1.nii.gz,A nodule of {SECRET}.,Nodule.\r\n"
METADATA = "VolumeName,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing\r\n"
METADATA += 'train_1_a_1.nii.gz,1,-1024,"[0.7, 0.7]",1.5\r\n'
LABELS = "VolumeName,Emphysema,Hernia\r\ntrain_1_a_1.nii.gz,1,0\r\n"
CT_RATE_TABLES = {
    CT_RATE: REPORTS,
    "metadata/train_metadata.csv": METADATA,
    "multi_abnormality_labels/train_predicted_labels.csv": LABELS,
    "metadata/no_chest_train.txt": "train/train_9/train_9_a/train_9_a_1.nii.gz\n",
}


def folder_source(root: Path, table: bytes) -> Path:
    SCANS["nii.gz"]().write(root)
    (root / "reports.csv").write_bytes(table)
    return root / "reports.csv"


def ct_rate_source(root: Path, name: str, table: bytes) -> Path:
    scan = root / "dataset/train/train_1/train_1_a/train_1_a_1.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.write_bytes(SCANS["nii.gz"]().files["ct.nii.gz"])
    for place, text in CT_RATE_TABLES.items():
        (root / place).parent.mkdir(exist_ok=True)
        (root / place).write_bytes(table if place == name else text.encode())
    return root / name


def utf16(text: bytes, _: Random) -> bytes:
    return text.decode().encode("utf-16")


def latin(text: bytes, _: Random) -> bytes:
    return text.decode().encode("latin-1").replace(b"nodule", b"nodule \xfc")


def nul(text: bytes, random: Random) -> bytes:
    at = int(random.integers(len(text)))
    return text[:at] + b"\0" + text[at:]


def endless_line(text: bytes, random: Random) -> bytes:
    at = int(random.integers(len(text)))
    return text[:at] + b"a" * 11_000_000 + text[at:]


def endless_quote(text: bytes, _: Random) -> bytes:
    return text.replace(b"Nodule.", b'"Nodule.') + b"x,y\n" * 1000


def many_columns(text: bytes, _: Random) -> bytes:
    return b"," * 200_000 + text


def bare_returns(text: bytes, _: Random) -> bytes:
    return text.replace(b"\r\n", b"\r")


def semicolons(text: bytes, _: Random) -> bytes:
    return text.replace(b",", b";")


def twice(text: bytes, random: Random) -> bytes:
    lines = [b"", *text.split(b"\r\n")]
    return (
        text + (lines[0], lines[-2], lines[-2].replace(b"nodule", b"mass"))[int(random.integers(3))] + b"\r\n"
    )


def marked(text: bytes, _: Random) -> bytes:
    return b"\xef\xbb\xbf" + text


def unexpected_field(text: bytes, random: Random) -> bytes:
    unexpected = (
        b"nan",
        b"inf",
        b"-8192",
        b'"[0.7,0.7,0.7]"',
        b"[]",
        b'"[inf, 1]"',
        b"1e999",
        b"../../etc",
        b"\x1b[2J",
        b"2",
    )
    fields = list(re.finditer(rb'"[^"]*"|[^,\r\n]+', text))
    one = fields[int(random.integers(len(fields)))]
    return text[: one.start()] + unexpected[int(random.integers(len(unexpected)))] + text[one.end() :]


Change = Callable[[bytes, Random], bytes]
CHANGES: list[Change] = [
    utf16,
    latin,
    nul,
    endless_quote,
    many_columns,
    bare_returns,
    semicolons,
    twice,
    marked,
]
CHANGES += [unexpected_field] * 6 + DAMAGE
RARE: list[Change] = [endless_line]


def write_table(kind: str, root: Path, random: Random) -> Path:
    """A source with one table changed; the table's place."""
    changes = RARE if random.integers(60) == 0 else CHANGES
    change = changes[int(random.integers(len(changes)))]
    if kind == "folder-table":
        return folder_source(root, change(FOLDER.encode(), random))
    name = list(CT_RATE_TABLES)[int(random.integers(len(CT_RATE_TABLES)))]
    return ct_rate_source(root, name, change(CT_RATE_TABLES[name].encode(), random))
