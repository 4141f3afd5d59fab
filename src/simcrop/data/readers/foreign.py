"""What may lie beside scans and is no scan of ours: known by its name, with what to do about it.

No axes or units. `sort_of` asks nothing of the disk. A kind is a word for lists, never a piece of a person's name.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

SUFFIXES = (".nii", ".nii.gz", ".mhd", ".mha", ".nrrd", ".nhdr", ".npz", ".zip")
SLICES = (".dcm", ".dicom", ".ima")
HEADERS = (".mhd", ".nhdr")  # whose voxels lie in another file
PARTS = (".raw", ".zraw", ".raw.gz")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
CONVERT = "save it as .nii.gz, with its size and place: nibabel.save(nibabel.load(FILE), 'ct.nii.gz')"
UNPACK = "expected unpacked, as nothing here is unpacked to disk"
STORE = "save each scan as .nii.gz, with its affine: nibabel.Nifti1Image(hu, affine).to_filename('ct.nii.gz')"


class Sort(Enum):
    """What a name says. OPEN: anything, DICOM slices too, until somebody looks into it."""

    SCAN = auto()
    PART = auto()
    PICTURE = auto()
    DOCUMENT = auto()
    FOREIGN = auto()
    OPEN = auto()


@dataclass(frozen=True)
class Kind:
    """`name`: for a list; `advice`: what is wrong and what helps; `many`: of slices, a folder of which is one input."""

    name: str
    advice: str
    many: bool = False


def _words(text: str) -> tuple[str, ...]:
    return tuple(f".{word}" for word in text.split())


COMPRESSED = {
    **dict.fromkeys((".gz", ".z", ".bgz"), "gunzip FILE"),
    ".bz2": "bunzip2 FILE",
    ".xz": "unxz FILE",
    ".lzma": "unlzma FILE",
    ".zst": "zstd -d FILE",
    ".lz4": "lz4 -d FILE",
    ".br": "brotli -d FILE",
}
ARCHIVES = _words("tar tgz tbz tbz2 txz tzst 7z rar iso cab")
PAIR = (".hdr", ".img")
OTHER_FORMATS = _words("mgz mgh mnc mnc2 minc gipl head brik par rec vff vtk vti ima.nii isq aim pic spr")
NUMBERS = _words(
    "npy h5 hdf5 hdf mat b2nd tfrecord safetensors pt pth ckpt pkl pickle joblib arrow lmdb bin dat"
)
TIFFS = _words("tif tiff jp2 j2k jpx")
CHUNKED = (".zarr", ".n5", ".precomputed")  # folders
UNFINISHED = _words("part partial crdownload download filepart aria2 opdownload tmp temp incomplete")
# Named so, a file is looked into all the same before it is called foreign: slices have borne such endings.
DOUBTFUL = (".img", *_words("bin dat rec par pic spr head aim arrow"), *UNFINISHED)
TABLES = _words("csv tsv tab json jsonl ndjson parquet feather xls xlsx xlsm xlsb ods numbers sqlite db")
TEXTS = _words("txt md rst xml html htm rtf doc docx odt pdf")
OTHERS = (
    "ppt pptx yaml yml toml ini cfg log py ipynb css js md5 sha1 sha256 sha512 dvc lock exe dll jar class inf"
)
OTHERS += " url lnk ico svg gif mp4 avi mov stl obj ply glb vtp bval bvec identifier"
OTHERS += " ocx msi chm hlp swf ttf otf woff woff2 eot fon wav mp3 wmv pyc so dylib jnilib icns pdb"
PROGRAMS = (".exe", ".dll", ".jar", ".so", ".dylib")
VAGUE = (".bin", ".dat", ".cab", ".pak")  # beside a program, as the viewer of a disc, its own
DOCUMENTS = frozenset((*PICTURES, *TABLES, *TEXTS, *_words(OTHERS)))
PAIRED = Kind(".hdr/.img", f"an Analyze or NIfTI pair, of which no reader is here; {CONVERT}")
RENAMED = Kind("renamed", "the ending of a scan with more behind it; name it so that the ending comes last")


def sort_of(name: str) -> Sort:
    """By the name alone, for folders of thousands of slices."""
    if names_directory(name):
        return Sort.DOCUMENT
    name = name.lower()
    end = name[name.rfind(".") :] if "." in name else ""
    if end in SLICES or not end or end[1:].isdecimal():
        return Sort.OPEN
    if name.endswith(SUFFIXES):
        return Sort.SCAN
    if name.endswith(PARTS):
        return Sort.PART
    if end in PICTURES:
        return Sort.PICTURE
    packed = name[: -len(end)].rpartition(".")[2] if end in COMPRESSED else ""
    if end in DOCUMENTS or f".{packed}" in DOCUMENTS:
        return Sort.DOCUMENT
    if end in DOUBTFUL or kind_of(name) in (None, RENAMED):
        return Sort.OPEN
    return Sort.FOREIGN


def names_directory(name: str) -> bool:
    """By the name that the standard demands; some systems add a version to it."""
    return name.upper().split(";")[0].removesuffix(".") == "DICOMDIR"


def kind_of(name: str) -> Kind | None:
    """Of a file that no reader takes; None where its name says nothing."""
    name = name.lower().rstrip("~")
    stem, dot, last = name.rpartition(".")
    end = dot + last
    if end in COMPRESSED:
        return compressed(stem, end)
    if end in ARCHIVES:
        return Kind(end, f"an archive; {UNPACK}")
    if end in PAIR:
        return PAIRED
    if end in OTHER_FORMATS:
        return Kind(end, f"a format that no reader is here for; {CONVERT}")
    if end in TIFFS:
        return Kind(".tif", f"pictures without size, place and HU; {STORE}", many=True)
    if end in NUMBERS:
        return Kind(end, f"numbers without size and place, which nothing here opens; {STORE}")
    if end in UNFINISHED and bears_scan(stem):
        return Kind("unfinished", "a download or a copy that has not come to its end")
    return RENAMED if end not in DOCUMENTS and bears_scan(name) else None


def compressed(stem: str, end: str) -> Kind | None:
    """`ct.nii.bz2`, `1.dcm.gz`, `scans.tar.gz`; None of a document."""
    inner = stem[stem.rfind(".") :] if "." in stem else ""
    if inner in DOCUMENTS:
        return None
    if inner == ".tar":
        return Kind(inner + end, f"an archive; {UNPACK}")
    how = f"compressed in a way that no reader here undoes: {COMPRESSED[end]}"
    if bears_scan(stem) and inner not in (*SUFFIXES, *SLICES):
        return RENAMED
    if inner in PAIR:
        return Kind(f".hdr{end}/.img{end}", f"{how}; inside is {PAIRED.advice}")
    if inner in SUFFIXES or inner in OTHER_FORMATS or inner in NUMBERS:
        return Kind(inner + end, how)
    return Kind(f"{inner}{end}" if inner in SLICES else end, how, many=True)


def bears_scan(name: str) -> bool:
    """Whether the ending of a scan or slice stands within a name."""
    return re.search(r"\.(?:nii|mhd|mha|nrrd|nhdr|npz|dcm)(?![a-z0-9])", name) is not None
