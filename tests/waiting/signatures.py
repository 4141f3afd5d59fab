"""A plugin of pytest: what every function of the package is given and gives is checked against its signature.

Where a signature may say a shape jaxtyping checks it: `--jaxtyping-packages` in pyproject.toml. That costs far more per
call than beartype, which checks all the rest. No axes or units.
"""

from importlib.util import find_spec
from pathlib import Path

from beartype import BeartypeConf
from beartype.claw import beartype_packages

# The inner loops of the phantom, and the rules that split a report, are called a million times: basedpyright checks
# them instead.
REPORT = {"simcrop.data.report", "simcrop.data.reports"}
YAMLS = {
    f"simcrop.{name}"
    for name in ("codes", "label_maps", "probes", "protocols", "published", "recipes", "wordings")
}
UNCHECKED = {"simcrop.phantom"} | YAMLS | REPORT


def checked() -> set[str]:
    """Every module or package at the top, and in `data`, but those that are not."""
    spec = find_spec("simcrop")
    assert spec is not None
    package = Path(spec.origin or "").parent
    modules = {f"simcrop.{name}" for name in modules_in(package) - {"data"}}
    return (modules | {f"simcrop.data.{name}" for name in modules_in(package / "data")}) - UNCHECKED


def modules_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir() if not path.stem.startswith("__")}


# Now, since the conftest files of folders that are named on the command line import the package before anything is
# configured. Signatures alone: a variable's type is basedpyright's business, as it is in the modules that have shapes.
beartype_packages(sorted(checked()), conf=BeartypeConf(claw_is_pep526=False))
