"""A scan's files lie in its own folder; a link out of it is not followed.

No axes or units.
"""

from pathlib import Path

from simcrop.errors import SimcropError


def check_inside(path: Path, folder: Path) -> None:
    """Refuse a file of a scan that is really a link out of the scan's own folder."""
    if (path.is_symlink() or path.parent != folder) and not path.resolve().is_relative_to(folder.resolve()):
        raise SimcropError("unsafe-path", f"{path.name} is a link that leads out of its folder")
