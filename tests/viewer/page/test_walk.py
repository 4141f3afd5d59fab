"""The page of `simcrop view` as a person uses it, in a browser: what is clicked, typed and seen.

Axes: pictures `(row, column, 3)`, uint8; places in RAS+ mm.
"""

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.viewer.page.conftest import LEFT, RIGHT, SHAPE, SPACING

pytestmark = pytest.mark.limit(240)

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


def test_a_chosen_sentence_shows_its_map_and_moves_nothing_until_asked(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    before, stood = picture(page), place(page)
    assert len(coloured(before, AMBER)) == 0
    chosen = choose(page, RIGHT_WORDS)
    assert place(page) == stood

    chosen.get_by_role("button", name="Centre").click()
    expect(chosen.locator(".says")).to_contain_text(re.compile(r"region 1 of \d+, \d+ ml, slice \d+ of 48"))
    moved = place(page)
    assert all(abs(at - wanted) <= size / 2 + 4 for at, wanted, size in zip(moved, RIGHT, PATCH, strict=True))

    shown = picture(page)
    line = coloured(shown, AMBER)
    assert len(line) > 60
    middle = (line.min(0) + line.max(0)) / 2
    assert np.abs(middle - on_canvas(shown, RIGHT)).max() < PATCH[0] / 2 * scale_of(shown)
    assert len(coloured(shown[:, shown.shape[1] // 2 :], AMBER)) == 0, "nothing in the left lung"


def test_next_and_previous_walk_through_the_regions_and_the_slider_follows(
    open_page: Callable[..., Any],
) -> None:
    page = opened(open_page())
    chosen = choose(page, LEFT_WORDS)
    page.keyboard.press("n")
    expect(chosen.locator(".says")).to_contain_text("region 1 of")
    first = place(page)
    assert all(abs(at - wanted) <= size / 2 + 4 for at, wanted, size in zip(first, LEFT, PATCH, strict=True))
    number = page.locator("#slice").input_value()
    expect(page.locator("#slice-number")).to_have_text(f"{number} of 48")
    assert abs(int(number) - 24.5 - LEFT[2] / SPACING[2]) < PATCH[2] / SPACING[2]

    page.locator("#slice").fill("40")
    assert place(page)[2] != first[2]
    page.keyboard.press("p")
    expect(page.locator("#slice-number")).to_have_text(f"{number} of 48")
    assert place(page) == first


def test_outline_hide_eye_and_threshold_do_what_they_say(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    chosen = choose(page, RIGHT_WORDS)
    page.keyboard.press("c")
    expect(chosen.locator(".says")).to_contain_text("region 1")
    filled = picture(page)
    line = coloured(filled, AMBER)
    row, column = ((line.min(0) + line.max(0)) / 2).astype(int)
    beside = (row + 14, column + 14)  # the crosshair leaves its middle free
    assert np.ptp(filled[beside]) > 40, "filled with the map's colour"

    page.get_by_text("Outline", exact=True).click()
    outlined = picture(page)
    assert np.ptp(outlined[beside]) < 10, "grey again"
    assert len(coloured(outlined, AMBER)) > 60

    page.keyboard.down("h")
    assert len(coloured(picture(page), AMBER)) == 0
    page.keyboard.up("h")
    assert len(coloured(picture(page), AMBER)) > 60
    chosen.locator(".eye").click()
    assert len(coloured(picture(page), AMBER)) == 0
    chosen.locator(".eye").click()

    for _ in range(10):
        page.keyboard.press("]")
    higher = coloured(picture(page), AMBER)
    assert 0 < np.prod(np.ptp(higher, axis=0)) < np.prod(np.ptp(line, axis=0)), "a smaller region"
    assert chosen.locator(".ends input").first.input_value() == "0.00", "the colour scale stays"


def test_sentences_show_beside_one_another_each_in_its_colour(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    choose(page, RIGHT_WORDS)
    page.keyboard.press("c")
    choose(page, LEFT_WORDS, beside=True)
    expect(page.locator(".sentence.chosen")).to_have_count(2)
    assert len(coloured(picture(page), AMBER)) > 60
    page.keyboard.press("c")
    expect(page.locator(".sentence.active .says")).to_contain_text("region 1")
    assert len(coloured(picture(page), BLUE)) > 60
    page.keyboard.press("Escape")
    expect(page.locator(".sentence.chosen")).to_have_count(0)
    shown = picture(page)
    assert len(coloured(shown, AMBER)) == len(coloured(shown, BLUE)) == 0


def test_the_wheel_moves_and_zooms_and_the_right_button_changes_the_window(
    open_page: Callable[..., Any],
) -> None:
    page = opened(open_page())
    box = page.locator("#canvas").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.wheel(0, 120)
    expect(page.locator("#slice-number")).not_to_have_text("25 of 48")

    body = (picture(page).min(2) > 150).sum()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    assert (picture(page).min(2) > 150).sum() > 1.3 * body

    page.mouse.down(button="right")
    page.mouse.move(middle[0] + 60, middle[1] - 40, steps=4)
    page.mouse.up(button="right")
    expect(page.locator("#window-free")).to_be_checked()
    assert page.locator("#level").input_value() != "-600"
    page.keyboard.press("3")
    expect(page.locator("#window-bone")).to_be_checked()


def test_marks_are_signs_and_words_and_not_only_colours(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    for words, sign, mark in (
        (RIGHT_WORDS, "●", "affirmed"),
        ("There is no pleural effusion.", "⊘", "denied"),
        ("The heart is of normal size.", "○", "normal"),
    ):
        line = page.locator("#sentences .line", has_text=words)
        expect(line.locator(".mark")).to_have_text(sign)
        expect(line).to_contain_text(f"({mark})")


def test_a_typed_sentence_is_seen_at_once_and_never_stands_in_the_address(
    open_page: Callable[..., Any],
) -> None:
    page = opened(open_page())
    page.keyboard.press("w")
    page.keyboard.type("Something odd on the right")
    page.keyboard.press("Enter")
    own = page.locator(".sentence.chosen", has_text="Something odd")
    expect(own.locator(".score").first).to_contain_text(".")
    own.get_by_role("button", name="Centre").click()
    expect(own.locator(".says")).to_contain_text("region 1")
    assert len(coloured(picture(page), AMBER)) > 60
    page.wait_for_timeout(400)
    assert set(re.findall(r"[#&](\w+)=", page.url)) <= {"study", "at", "window", "view"}


def test_a_reload_keeps_study_place_window_sentences_and_style(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    choose(page, RIGHT_WORDS)
    page.keyboard.press("c")
    expect(page.locator(".sentence.chosen .says")).to_contain_text("region 1")
    for key in ("2", "o"):
        page.keyboard.press(key)
    page.locator("#slice").fill("30")
    page.wait_for_timeout(400)  # the address follows within a fifth of a second
    stood, address = place(page), page.url
    page.reload()
    expect(page.locator(".sentence.chosen")).to_contain_text(RIGHT_WORDS)
    expect(page.locator("#window-mediastinum")).to_be_checked()
    expect(page.locator("#view-axial")).to_be_checked()
    expect(page.locator("#style-outline")).to_be_checked()
    assert place(page) == stood
    page.wait_for_timeout(400)
    assert page.url == address


def test_truth_is_drawn_where_there_is_any_and_its_classes_can_be_hidden(
    open_page: Callable[..., Any],
) -> None:
    page = opened(open_page())
    choose(page, RIGHT_WORDS)
    page.keyboard.press("c")
    expect(page.locator(".sentence.chosen .says")).to_contain_text("region 1")
    page.keyboard.press("Escape")
    before = picture(page)
    page.keyboard.press("t")
    expect(page.locator("#truth-classes")).to_contain_text("first mass")
    drawn = np.argwhere(np.abs(picture(page) - before).max(2) > 25)
    assert np.abs((drawn.min(0) + drawn.max(0)) / 2 - on_canvas(before, RIGHT)).max() < 6 * scale_of(before)
    page.get_by_role("button", name="first mass").click()
    assert (np.abs(picture(page) - before).max(2) > 25).sum() == 0
    page.locator("#study-list button", has_text="three").click()
    expect(page.locator("#notes")).to_contain_text("has no report")
    expect(page.locator("#truth")).to_be_hidden()


def test_the_list_is_searched_and_walked_with_keys(open_page: Callable[..., Any]) -> None:
    page = open_page()
    expect(page.locator("#found")).to_have_text("3 studies")
    page.keyboard.press("/")
    page.keyboard.type("two masses one")
    expect(page.locator("#found")).to_have_text("1 study")
    page.locator("#words").fill("")
    expect(page.locator("#found")).to_have_text("3 studies")
    page.locator("#study-list button").first.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#study-list button").nth(2)).to_have_attribute("aria-current", "true")
    expect(page.locator("#where")).to_contain_text("HU")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".sentence.chosen")).to_have_count(1)


def test_a_scan_is_uploaded_and_a_bad_file_is_refused_clearly(
    open_page: Callable[..., Any], served: Any
) -> None:
    page = open_page()
    page.seen.expected.append(
        "the server responded with a status of 4"
    )  # what Chromium itself says of a refusal
    expect(page.locator("#found")).to_have_text("3 studies")
    page.keyboard.press("u")
    page.locator("#files").set_input_files({"name": "a.nii.gz", "mimeType": "x/y", "buffer": b"no scan"})
    expect(page.locator("#upload-problem")).to_contain_text("NIfTI")
    page.locator("#files").set_input_files({"name": "empty.nii.gz", "mimeType": "x/y", "buffer": b""})
    expect(page.locator("#upload-problem")).to_have_text("The file is empty")
    page.locator("#upload summary").click()
    page.locator("#upload-report").fill("A mass on the right.")
    page.locator("#files").set_input_files(served.raw / "two.nii.gz")
    expect(page.locator("#upload")).to_be_hidden()
    expect(page.locator("#sentences")).to_contain_text("A mass on the right.")
    ready(page)
    choose(page, "A mass on the right.")
    page.keyboard.press("c")
    expect(page.locator(".sentence.chosen .says")).to_contain_text("region 1")
    assert len(coloured(picture(page), AMBER)) > 60


def test_pictures_and_maps_are_exported(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    choose(page, RIGHT_WORDS)
    page.keyboard.press("c")
    expect(page.locator(".sentence.chosen .says")).to_contain_text("region 1")
    page.keyboard.press("x")
    with page.expect_download() as png:
        page.locator("#export-png").click()
    saved = np.array(Image.open(png.value.path()).convert("RGB")).astype(int)
    assert len(coloured(saved, AMBER)) > 60
    with page.expect_download() as nifti:
        page.locator("#export-nifti").click()
    assert nifti.value.suggested_filename.endswith(".zip")
