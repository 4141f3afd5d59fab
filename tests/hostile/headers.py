"""Headers that lie: a field of a format gets a value that nobody foresaw, all checksums made right again.

No axes; lengths in mm. Every function takes a scan and a generator, and gives another scan.
"""

import gzip
import io
import re
import zipfile
from dataclasses import replace

import numpy as np
import pydicom
from damage import DAMAGE, Random
from scans import Scan

# Fields of a NIfTI-1 header: byte and numpy type.
NIFTI = (
    *((40 + 2 * i, "i2") for i in range(8)),
    *((70, "i2"), (72, "i2"), (252, "i2"), (254, "i2"), (123, "u1"), (108, "f4"), (112, "f4"), (116, "f4")),
    *((at, "f4") for at in (*range(76, 108, 4), *range(256, 328, 4))),
)
SHORTS = (0, 1, -1, 2, 3, 4, 7, 8, 9, 16, 64, 128, 256, 512, 768, 1024, 1536, 1792, 2048, 2304, 32767, -32768)
FLOATS = (0, 1, -1, 0.5, np.nan, np.inf, -np.inf, 1e-30, 1e-3, 1e30, 3e38, 100, 352, 1e6, -0.0)
WORDS = (
    "0",
    "-1",
    "1",
    "2 2 2",
    "7 9 5 1",
    "7 9",
    "7 9 6",
    "70000 70000 70000",
    "2147483647 2147483647 2",
    "nan nan nan",
)
WORDS += (
    "inf inf inf",
    "1e30 1e30 1e30",
    "1e-30 1 1",
    "0 0 0",
    "-30 25 40",
    "",
    " ",
    "x",
    "True",
    "False",
    "MET_FLOAT",
)
WORDS += (
    "MET_DOUBLE_ARRAY",
    "MET_UCHAR",
    "double",
    "block",
    "raw",
    "gzip",
    "bzip2",
    "hex",
    "ascii",
    "txt",
    "big",
    "4",
    "5",
)
WORDS += (
    "LOCAL",
    "LIST",
    "/etc/passwd",
    "../ct.raw",
    "ct.raw",
    "s%03d.raw 0 4 1",
    "99999999999999999999",
    "0x7fffffff",
)
WORDS += (
    "1 0 0 0 1 0 0 0 0",
    "1 0 0 1 0 0 1 0 0",
    "2 0 0 0 2 0 0 0 2",
    "left-posterior-superior",
    "scanner-xyz",
    "none",
)
WORDS += (
    "(1,0,0) (1,0,0) (0,0,1)",
    "(0,0,0) (0,0,0) (0,0,0)",
    "none (0,1,0) (0,0,1)",
    "(nan,0,0) (0,1,0) (0,0,1)",
)
WORDS += ("(1e9,0,0) (0,1e9,0) (0,0,1e9)", "9" * 5000, "\0", "\xff\xfe")


def pick(values: tuple, random: Random):
    return values[int(random.integers(len(values)))]


def lying_nifti(scan: Scan, random: Random) -> Scan:
    """One or two fields of the header."""
    (name, content), *_ = scan.files.items()
    packed = content[:2] == b"\x1f\x8b"
    block = bytearray(gzip.decompress(content) if packed else content)
    order = ">" if block[:2] == b"\0\0" else "<"
    for _ in range(int(random.integers(1, 3))):
        at, kind = pick(NIFTI, random)
        value = pick(FLOATS if kind == "f4" else SHORTS, random)
        one = np.array([value % 256 if kind == "u1" else value]).astype(order + kind).tobytes()
        block[at : at + len(one)] = one
    if packed and random.integers(4) == 0:
        block = bytearray(pick(tuple(DAMAGE), random)(bytes(block), random))
    return replace(scan, files={name: gzip.compress(bytes(block), mtime=0) if packed else bytes(block)})


def lying_text(scan: Scan, random: Random) -> Scan:
    """A line of a MetaImage or NRRD header is changed, doubled, dropped, moved, or written another way."""
    content = scan.files[scan.to_read]
    stop = re.search(rb"ElementDataFile.*\n|\n\n", content)
    end = stop.end() if stop else len(content)
    lines = content[:end].decode("latin-1").split("\n")
    at = int(random.integers(len(lines)))
    key, mark, _ = lines[at].partition("=" if scan.to_read.startswith("ct.m") else ":")
    word = pick(WORDS, random)
    lines[at : at + 1] = pick(
        (
            [f"{key}{mark} {word}"],
            [f"{key}{mark} {word}"],
            [f"{key}{mark} {word}"],
            [lines[at], f"{key}{mark} {word}"],
            [],
            [lines[at].swapcase()],
            [f"{key}: {word}", lines[at]],
            [f"{key.upper()}{mark} {word}", lines[at]],
            ["", lines[at]],
            [" ", lines[at]],
            [lines[at] + "\r"],
            [f"HeaderSize = {word}", lines[at]],
            [f"byte skip: {word}", lines[at]],
            [f"CompressedData = {word}", lines[at]],
        ),
        random,
    )
    return replace(
        scan, files=scan.files | {scan.to_read: "\n".join(lines).encode("latin-1") + content[end:]}
    )


TAGS = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
    *("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"),
    *(
        "NumberOfFrames",
        "InstanceNumber",
        "SeriesInstanceUID",
        "PhotometricInterpretation",
        "Modality",
        "ImageType",
    ),
    *("PlanarConfiguration", "PixelData", "SOPClassUID", "PatientName"),
)
DICOM_WORDS = (
    "",
    "0",
    "1",
    "-1",
    "nan",
    "inf",
    "1e30",
    "1e-30",
    "x",
    "99999999999",
    "MR",
    "RGB",
    "LOCALIZER",
    "1\\2\\3",
)
DICOM_WORDS += (
    "0\\0\\0",
    "nan\\0\\0",
    "1e9\\1e9\\1e9",
    "1\\0\\0\\1\\0\\0",
    "0\\0\\0\\0\\0\\0",
    "30\\25",
    "0\\0",
    "\xff",
)
SYNTAXES = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5",
    "1.2.3",
)
SYNTAXES += tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 57, 70, 80, 81, 90, 91, 100, 201))


def lying_dicom(scan: Scan, random: Random) -> Scan:
    """One element of one slice, or of all, or the name of the compression."""
    names = sorted(scan.files)
    chosen = names if random.integers(3) == 0 else [names[int(random.integers(len(names)))]]
    tag, word, number = pick(TAGS, random), pick(DICOM_WORDS, random), pick(SHORTS, random)
    syntax = pick(SYNTAXES, random) if random.integers(5) == 0 else None
    files = dict(scan.files)
    for name in chosen:
        files[name] = altered(files[name], tag, word, number, syntax)
    return replace(scan, files=files)


def altered(content: bytes, tag: str, word: str, number: int, syntax: str | None) -> bytes:
    """The slice with another value in `tag`, written without a look at what the standard allows."""
    data = pydicom.dcmread(io.BytesIO(content))
    if syntax is not None:
        old = str(data.file_meta.TransferSyntaxUID).encode()
        return content.replace(old.ljust(20, b"\0"), syntax.encode().ljust(20, b"\0")[:20], 1)
    if tag not in data:
        data.add_new(tag, "LO", word)
    elif data[tag].VR == "US":
        data[tag].value = number % 65536
    elif data[tag].VR == "OW":
        data[tag].value = b"ab" * (number % 500)
    else:
        data[tag] = pydicom.DataElement(data[tag].tag, "LO", word)
    target = io.BytesIO()
    data.save_as(target)
    return target.getvalue()


def lying_npz(scan: Scan, random: Random) -> Scan:
    """The text header of the array inside, or its bytes, in an archive that is sound."""
    with zipfile.ZipFile(io.BytesIO(scan.files[scan.to_read])) as archive:
        (name,) = archive.namelist()
        block = archive.read(name)
    text = block[10:128].decode("latin-1")
    new = pick(
        (
            re.sub(
                r"\(.*\)",
                pick(
                    ("(70000, 70000, 70000)", "()", "(5, -9, 7)", "(5, 9, 7, 1)", "(315,)", "(True, 9, 7)"),
                    random,
                ),
                text,
            ),
            re.sub(
                r"'<..'",
                pick(
                    (
                        "'|O'",
                        "'<f8'",
                        "'<c8'",
                        "'<U9'",
                        "'<M8[ns]'",
                        "[('a', '<i2')]",
                        "'>i2'",
                        "'<f2'",
                        "'<i8'",
                    ),
                    random,
                ),
                text,
            ),
            text.replace("False", pick(("True", "None", "1", "[" * 90, "__import__('os')"), random)),
            text.replace("{", "{'more': 1, "),
        ),
        random,
    )
    block = block[:10] + new[:118].ljust(118).encode("latin-1") + block[128:]
    if random.integers(3) == 0:
        block = pick(tuple(DAMAGE), random)(block, random)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), block)
    return replace(scan, files={scan.to_read: target.getvalue()})
