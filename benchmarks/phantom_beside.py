"""One picture of phantoms, beside up to two real scans where some are given, window for window.

    python benchmarks/phantom_beside.py my-scans --out beside.png
    python benchmarks/phantom_beside.py --out docs/phantom.png

Each row is one chest: two axial cuts and a coronal one in the lung window, then the same in the mediastinal window. The
real scans come first. Rows of phantoms alone are three patients of `easy`, then the same three of `real`.
"""

import argparse
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from simcrop.data.readers import find_scans, read_volume
from simcrop.errors import SimcropError
from simcrop.figures.sheet import packed
from simcrop.phantom.grid import SIZES, Difficulty, Grid
from simcrop.phantom.patient import draw_patient
from simcrop.phantom.real.background import upright
from simcrop.phantom.real.lungs import find_lungs

WINDOWS = ((-600, 1500), (40, 400))  # centre and width in HU
HEIGHTS = (0.35, 0.62)  # of the axial cuts, as shares of the lungs' height
TILE, WIDE_MM, GAP = 190, 400.0, 4  # pixels of a cut, mm that it shows, pixels between cuts
MOST_SCANS = 2


def main() -> None:
    chosen = arguments()
    if not chosen.scans:
        cases = [(difficulty, number) for difficulty in ("easy", "real") for number in range(1, 4)]
        rows = [phantom_row(*case, chosen.seed, chosen.size) for case in cases]
    else:
        rows = scan_rows(chosen.scans)
        rows += [phantom_row("real", number, chosen.seed, chosen.size) for number in range(1, len(rows) + 1)]
    gap = np.zeros((GAP, rows[0].shape[1]), np.uint8)
    sheet = np.concatenate([part for row in rows for part in (row, gap)][:-1])
    chosen.out.write_bytes(packed(Image.fromarray(sheet), bits=5))
    print(f"{len(rows)} chests in {chosen.out}")


def scan_rows(places: list[Path]) -> list[np.ndarray]:
    """The first scans that are whole chests."""
    rows: list[np.ndarray] = []
    for path in [path for place in places for path in find_scans(place)]:
        try:
            rows.append(row_of(*upright(read_volume(path))))
        except SimcropError as error:
            print(f"left out: {error.sentence}")
        if len(rows) == MOST_SCANS:
            return rows
    if not rows:
        raise SystemExit("no scan of a whole chest found")
    return rows


def phantom_row(difficulty: str, number: int, seed: int, size: str) -> np.ndarray:
    patient = draw_patient(seed, number, cast(Difficulty, difficulty))
    scans, _ = patient.scans(size)
    return row_of(scans[0].astype(np.float32), patient.grid(size))


def row_of(hu: np.ndarray, grid: Grid) -> np.ndarray:
    """The cuts of one chest `(z, y, x)`, placed by its lungs, side by side as grey values."""
    x_mm, y_mm, z_mm = grid.spacing_mm
    lungs = find_lungs(hu, (z_mm, y_mm, x_mm))
    both = lungs.right | lungs.left
    heights, depths = np.flatnonzero(both.any((1, 2))), np.flatnonzero(both.any((0, 2)))
    up = [int(heights[0] + share * (heights[-1] - heights[0])) * lungs.step[0] for share in HEIGHTS]
    back = lungs.first[1] + int(depths.mean()) * lungs.step[1]
    cuts = [(hu[z], y_mm) for z in up] + [(hu[::-1, back], z_mm)]
    tiles = [tile(cut, down_mm, x_mm, window) for window in WINDOWS for cut, down_mm in cuts]
    gap = np.zeros((TILE, GAP), np.uint8)
    return np.concatenate([part for one in tiles for part in (one, gap)][:-1], 1)


def tile(cut: np.ndarray, down_mm: float, across_mm: float, window: tuple[int, int]) -> np.ndarray:
    """A cut at the scale of all others, in the middle of its square."""
    centre, width = window
    grey = np.uint8(255 * np.clip((cut - centre) / width + 0.5, 0, 1))
    per_mm = TILE / WIDE_MM
    size = (
        max(1, round(n * mm * per_mm)) for n, mm in zip(cut.shape[::-1], (across_mm, down_mm), strict=True)
    )
    wide, tall = size
    picture = Image.fromarray(grey).resize((wide, tall), Image.Resampling.LANCZOS)
    square = Image.new("L", (TILE, TILE))
    square.paste(picture, ((TILE - wide) // 2, (TILE - tall) // 2))
    return np.asarray(square)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "scans", nargs="*", type=Path, help="real scans or folders of them; else phantoms alone"
    )
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--size", choices=list(SIZES), default="full", help="grid of the phantoms")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
