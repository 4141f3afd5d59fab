"""What a person does on the viewer's page and sees of it, for its tests.

Axes: pictures `(row, column, 3)`, uint8; places in RAS+ mm.
"""

import io
import re
from typing import Any

import numpy as np
from PIL import Image
from tests.viewer.page.conftest import SHAPE, SPACING

AMBER, BLUE = (255, 176, 0), (56, 198, 255)  # the lines of the first and the second map
RIGHT_WORDS, LEFT_WORDS = "A mass is seen in the right lung.", "A mass is seen in the left lung."
PATCH = (28.0, 24.0, 24.0)  # mm


def opened(page: Any, name: str = "one") -> Any:
    """The page with a study open, its scores there."""
    page.locator("#study-list button", has=page.get_by_text(name, exact=True)).click()
    return ready(page)


def ready(page: Any) -> Any:
    expect(page.locator("#where")).to_contain_text("HU")
    expect(page.locator("#sentences .score").first).to_contain_text(".")
    return page


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect as wait_for

    wait_for.set_options(timeout=30_000)
    return wait_for(locator)


def choose(page: Any, words: str, beside: bool = False) -> Any:
    line = page.locator("#sentences .line", has_text=words)
    line.click(modifiers=["Shift"] if beside else [])
    expect(line).to_have_attribute("aria-pressed", "true")
    return page.locator("#sentences .sentence.chosen", has_text=words)


def picture(page: Any) -> np.ndarray:
    """The canvas once its last drawing is shown."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return np.array(Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB")).astype(int)


def coloured(shown: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Points `(row, column)` of nearly this colour."""
    return np.argwhere(np.abs(shown - colour).max(2) < 40)


def on_canvas(shown: np.ndarray, mm: tuple[float, ...]) -> np.ndarray:
    """Where a place lies on the axial picture: right of the patient at the left, front above; `(row, column)`."""
    rows, columns = shown.shape[:2]
    wide, high = SHAPE[0] * SPACING[0], SHAPE[1] * SPACING[1]
    scale = min(columns / wide, rows / high)
    return np.array([rows / 2 - mm[1] * scale, columns / 2 - mm[0] * scale])


def scale_of(shown: np.ndarray) -> float:
    return min(shown.shape[1] / (SHAPE[0] * SPACING[0]), shown.shape[0] / (SHAPE[1] * SPACING[1]))


def place(page: Any) -> list[float]:
    """The crosshair, mm."""
    words = page.locator("#where").inner_text().replace("−", "-")
    return [float(number) for number in re.findall(r"-?\d+\.\d", words)][:3]
