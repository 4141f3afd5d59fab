"""`simcrop phantom`: a synthetic cohort with known truth, in a data set's raw layout."""

from pathlib import Path
from typing import Literal, cast

from simcrop.data.phantom import write_ct_rate
from simcrop.data.phantom.ct_rate import check_request
from simcrop.errors import SimcropError
from simcrop.tasks.folder import open_folder, unspoiled, write_metrics

Size = Literal["tiny", "small", "full"]
Release = Literal["v1", "v2"]


def phantom(
    out: Path, layout: str, patients: int, seed: int, size: str, release: str = "v2", overwrite: bool = False
) -> int:
    """Write the cohort; the number of volumes. The same call continues one that was interrupted."""
    if layout != "ct-rate":
        raise SimcropError("bad-setting", f"unknown layout {layout!r}: the phantom writes ct-rate")
    check_request(patients, seed, size, release)
    settings = {"layout": layout, "patients": patients, "seed": seed, "size": size, "release": release}
    with unspoiled(out):
        open_folder(out, "phantom", settings, resume=not overwrite, overwrite=overwrite)
        write_ct_rate(out, patients, seed, cast(Size, size), cast(Release, release))
    count = sum(1 for _ in (out / "dataset").rglob("*.nii.gz"))
    write_metrics(out, {"patients": patients, "volumes": count})
    return count
