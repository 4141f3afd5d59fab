"""What lies in a folder of scans and is not taken, as refusals: files that no reader is for, reports of no scan.

No axes or units. Whether something is a report is told by its name and place alone; none is opened.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from simcrop.data.layouts.raw import Refusal
from simcrop.data.layouts.report_rows import SPREADSHEETS
from simcrop.data.readers.find import Survey
from simcrop.data.readers.foreign import COMPRESSED, TABLES, TEXTS
from simcrop.data.readers.left_over import Left

# In several languages, as they stand in the names of files and folders.
REPORTS = ("report", "finding", "impression", "befund", "bericht", "rapport", "referto", "informe", "verslag")
# Words in the names of texts that are about a data set and not about a patient.
ABOUT = (
    "readme license licence licenses copying copyright changelog changes notes requirements manifest index"
)
ABOUT += (
    " checksum checksums md5 md5sum md5sums sha1 sha1sum sha256 sha256sum sha256sums list lists filelist info"
)
ABOUT += " citation citations terms version versions attribution metadata about log train valid val test split splits"
ABOUT += " thumbs"
DELIMITED = (".csv", ".tsv", ".json", ".parquet")
AS_CSV = "save it from the spreadsheet, in Excel by File, Save As, CSV UTF-8, under the name reports.csv"
NO_TABLE = "save it as a CSV in UTF-8, unpacked"
AS_TABLE = "one table for all scans lies at the top under the name reports.csv, or is given by --reports"
AS_TEXT = "a text that is a report has the name of its scan and lies beside it, as ct7.txt by ct7.nii.gz"
AS_TEXT += "; a folder of such texts may be given by --reports"


def left_refusals(root: Path, left: Iterable[Left]) -> Iterator[Refusal]:
    for one in left:
        yield Refusal(place_of(root, one.path), one.path, one.reason, one.sentence, one.kind.name, one.count)


def stray_reports(root: Path, seen: Survey, taken: set[Path], has_table: bool) -> Iterator[Refusal]:
    """The documents that look like reports and are not `taken`, each with what to do about it."""
    origins = {path.with_suffix("") for path in taken if path.suffix.lower() in DELIMITED}  # if spreadsheets
    for path in sorted(seen.documents):
        hidden = path in taken or path.parent in seen.quiet or path.name.startswith((".", "~$"))
        hidden = hidden or (ending_of(path) in SPREADSHEETS and path.with_suffix("") in origins)
        advice = None if hidden else advice_for(path, path.relative_to(root), has_table)
        if advice is not None:
            kind = path.name if path.stem.lower() == "reports" else f"{ending_of(path)} like reports"
            sentence = f"{path}: is not read, {advice}"
            yield Refusal(place_of(root, path), path, "stray-report", sentence, kind)


def advice_for(path: Path, place: Path, has_table: bool) -> str | None:
    """What helps; None where nothing says that it is a report."""
    ending, stem = ending_of(path), path.stem.lower()
    about = set(ABOUT.split()).intersection(re.findall("[a-z0-9]+", stem))
    if about and not any(word in stem for word in REPORTS):
        return None
    named = any(word in place.as_posix().lower() for word in REPORTS)
    if ending == path.suffix.lower() == ".txt":
        return AS_TEXT
    if ending in SPREADSHEETS and (named or (len(place.parts) == 1 and not has_table)):
        return AS_CSV
    if not named:
        return None
    if ending in TABLES:
        return (
            AS_TABLE if ending in DELIMITED and path.suffix.lower() == ending else f"{NO_TABLE}; {AS_TABLE}"
        )
    return f"save it as plain text in UTF-8; {AS_TEXT}" if ending in TEXTS else None


def ending_of(path: Path) -> str:
    """Also of a compressed one."""
    name = path.name.lower()
    for end in COMPRESSED:
        name = name.removesuffix(end)
    return Path(name).suffix


def place_of(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else root.name
