"""Records a walk through `simcrop view` as an animated WebP: open, choose a sentence, next, outline, type a sentence.

Usage: python benchmarks/view_walk.py ADDRESS docs/view.webp [STUDY SENTENCE OWN]   while `simcrop view` runs there
Needs playwright and Debian's chromium. Pictures of 1280 x 800 px, halved; the result stays under 3 MB.
"""

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from playwright.sync_api import expect, sync_playwright

SOFTWARE = [
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
SIZE, SHOWN = (1280, 800), (960, 600)
MOST_BYTES = 3_000_000
PATIENCE_MS = 120_000


class Walk:
    """Pictures and how long each stands, ms; `at`: where the pointer is, px."""

    def __init__(self, page: Any) -> None:
        self.page, self.frames, self.stands, self.at = page, [], [], None

    def keep(self, stands: int = 1400) -> None:
        self.page.wait_for_timeout(400)
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        if self.at is not None:
            x, y = self.at
            pen = ImageDraw.Draw(picture, "RGBA")
            pen.ellipse(
                (x - 16, y - 16, x + 16, y + 16),
                fill=(255, 255, 255, 70),
                outline=(255, 255, 255, 230),
                width=3,
            )
        self.frames.append(picture.resize(SHOWN, Image.Resampling.LANCZOS))
        self.stands.append(stands)

    def click(self, locator: Any, wait_for: Any = None) -> None:
        locator.scroll_into_view_if_needed()
        box = locator.bounding_box()
        self.at = (box["x"] + min(box["width"] / 2, 60), box["y"] + min(box["height"] / 2, 20))
        self.keep(500)
        locator.click()
        if wait_for is not None:
            wait_for.first.wait_for()
        self.keep()


def walk(page: Any, address: str, study: str, sentence: str, own: str) -> Walk:
    made = Walk(page)
    page.goto(address)
    row = page.locator("#study-list button", has_text=study).first
    row.wait_for()
    made.keep(900)
    made.click(row)
    expect(page.locator("#where")).to_contain_text("HU")
    expect(page.locator("#sentences .score").first).to_contain_text(".")
    made.keep()
    chosen = page.locator(".sentence.chosen")
    made.click(page.locator("#sentences .line", has_text=sentence).first, chosen)
    for _ in range(2):
        made.click(chosen.get_by_role("button", name="Next"))
    made.click(page.locator("label", has_text="Outline"))
    made.click(page.locator("label", has_text="Fill"))
    field = page.locator("#own-words")
    made.click(field)
    for end in range(6, len(own) + 6, 6):
        field.fill(own[:end])
        made.keep(160)
    made.click(
        page.get_by_role("button", name="Show", exact=True), page.locator(".sentence.chosen", has_text=own)
    )
    made.click(page.locator(".sentence.chosen").get_by_role("button", name="Centre"))
    made.keep(2200)
    return made


def save(made: Walk, out: Path) -> int:
    """The best quality that fits."""
    for quality in (82, 74, 66, 58, 48):
        kept = io.BytesIO()
        first, *rest = made.frames
        first.save(
            kept,
            "WEBP",
            save_all=True,
            append_images=rest,
            duration=made.stands,
            loop=0,
            quality=quality,
            method=6,
        )
        if kept.tell() <= MOST_BYTES:
            out.write_bytes(kept.getvalue())
            return kept.tell()
    raise SystemExit(f"even the poorest quality is above {MOST_BYTES} bytes")


def main(
    address: str, out: Path, study: str = "", sentence: str = "", own: str = "A nodule in the left lung."
) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE)
        context = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="dark")
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        made = walk(context.new_page(), address, study, sentence, own)
        browser.close()
    print(f"{out}: {len(made.frames)} pictures, {save(made, out):,} bytes")


if __name__ == "__main__":
    address, out, *words = sys.argv[1:]
    main(address, Path(out), *words)
