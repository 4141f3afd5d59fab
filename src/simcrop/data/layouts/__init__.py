"""Raw trees -> studies: one file per data set's layout, chosen by name.

No axes or units. A layout only lists: no voxel is read here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from simcrop.data.layouts.btcv import list_btcv
from simcrop.data.layouts.cc_ccii import list_cc_ccii, released_cc_ccii
from simcrop.data.layouts.ct_rate import list_ct_rate
from simcrop.data.layouts.decathlon import list_decathlon
from simcrop.data.layouts.drawn import drawn_as
from simcrop.data.layouts.folder import list_folder
from simcrop.data.layouts.luna16 import list_luna16, released_luna16
from simcrop.data.layouts.rad_chestct import list_rad_chestct
from simcrop.data.layouts.raw import OWN, RELEASED, Listing, ListingOptions, RawStudy, Refusal, with_rescale
from simcrop.data.layouts.released import straddling
from simcrop.data.layouts.rexgrounding import list_rexgrounding
from simcrop.data.layouts.written_paths import with_written_paths
from simcrop.data.split import split_by_patient
from simcrop.errors import SimcropError

__all__ = ["LAYOUTS", "Layout", "Listing", "ListingOptions", "RawStudy", "Refusal", "list_studies"]


@dataclass(frozen=True)
class Layout:
    """`description` is what the command line's help says of it; `released` places its studies as released lists do;
    `exclusive`: of its labels every scan has exactly one.
    """

    description: str
    list: Callable[[Path], Listing]
    released: Callable[[Listing, Path], Listing] | None = None
    exclusive: bool = False


FOLDER, DICOM = "folder", "dicom"  # two names of one layout
LAYOUTS: dict[str, Layout] = {
    "ct-rate": Layout("CT-RATE's tree: dataset/, radiology_text_reports/, metadata/, labels", list_ct_rate),
    "rad-chestct": Layout(
        "RAD-ChestCT's npz volumes and its tables of findings by location", list_rad_chestct
    ),
    "cc-ccii": Layout(
        "CC-CCII's archives or folders of slices: NCP-1.zip, CP-1.zip, Normal-1.zip",
        list_cc_ccii,
        released_cc_ccii,
        exclusive=True,
    ),
    "luna16": Layout(
        "LUNA16's subset0 to subset9, annotations.csv, seg-lungs-LUNA16/", list_luna16, released_luna16
    ),
    "btcv": Layout("BTCV's images and 13-organ labels, listed by dataset.json", list_btcv),
    "decathlon": Layout(
        "scans and label volumes that a dataset.json in the Decathlon's style lists", list_decathlon
    ),
    "rexgrounding": Layout(
        "ReXGroundingCT's sentences and their masks, with CT-RATE's scans", list_rexgrounding
    ),
    FOLDER: Layout(
        "your own scans in any folders, with reports in a table or as texts, masks beside them", list_folder
    ),
    DICOM: Layout("the same by another name: DICOM lies in folders, too", list_folder),
}


NO_VOLUME = "no-volume"  # of a row that names no scan


def list_studies(layout: str, source: str | Path, options: ListingOptions = ListingOptions()) -> Listing:
    """The studies of `source`, sorted by id, and what in it can be none."""
    if layout not in LAYOUTS:
        near = get_close_matches(layout, LAYOUTS, 1, cutoff=0.4)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise SimcropError("unknown-layout", f"no layout {layout!r}, known are {', '.join(LAYOUTS)}{meant}")
    own = layout in (FOLDER, DICOM)
    if not own and (options.reports or options.key):
        raise SimcropError(
            "bad-setting",
            f"reports and their key are for the layout {FOLDER}: {layout} has tables of its own",
        )
    source = Path(source).absolute()
    if not source.exists():
        raise SimcropError("missing-source", f"{source}: no such file or folder")
    listing = list_folder(source, options) if own else LAYOUTS[layout].list(source)
    if not listing.studies and all(r.kind or r.reason == NO_VOLUME for r in listing.refusals):
        left = f"; what lies there is not read: {listing.left}" if listing.left else ""
        how = f"; {listing.refusals[0].sentence}" if len(listing.refusals) == 1 else ""
        raise SimcropError("no-scans", f"{source}: no scan found with the layout {layout}{how or left}")
    listing = with_written_paths(listing)
    if options.rescale is not None:
        rescaled = tuple(with_rescale(study, options.rescale) for study in listing.studies)
        listing = replace(listing, studies=rescaled)
    return replace(split_as(options.split, listing, source, LAYOUTS[layout]), made_by=drawn_as(source))


def split_as(requested: str | None, listing: Listing, source: Path, layout: Layout) -> Listing:
    """The listing with the split that was asked for, or with the one it came with."""
    if requested == OWN and listing.split_kind != OWN:
        split = split_by_patient(study.patient for study in listing.studies)
        studies = tuple(replace(s, split=split.parts[s.patient]) for s in listing.studies)
        return replace(listing, studies=studies, split=split, split_kind=OWN)
    if requested == RELEASED:
        if layout.released is not None:
            listing = layout.released(listing, source)
        elif listing.split_kind == "none":
            raise SimcropError(
                "missing-columns",
                f"{source}: the released split is asked for, but no table has a column split",
            )
    if listing.split_kind in (RELEASED, "table"):
        whose = RELEASED if listing.split_kind == RELEASED else "stated"
        return replace(listing, studies=straddling(listing.studies, whose))
    return listing
