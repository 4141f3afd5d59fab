"""The scan and its maps on the page of `simcrop view`, as a person sees them in a browser: pixels are looked at.

Axes: pictures `(row, column, 3)`, uint8; places in RAS+ mm.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.viewer.page.acts import (
    AMBER,
    BLUE,
    LEFT_WORDS,
    PATCH,
    RIGHT_WORDS,
    choose,
    coloured,
    expect,
    on_canvas,
    opened,
    picture,
    place,
    scale_of,
)
from tests.viewer.page.conftest import LEFT, RIGHT, SPACING

pytestmark = pytest.mark.limit(240)


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


def test_arrows_move_the_crosshair_where_they_point(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())

    def cross() -> np.ndarray:
        """Row and column of the lines."""
        shown = picture(page)
        line = (shown[..., 2] > 180) & (shown[..., 2] - shown[..., 0] > 60)
        return np.array([line.sum(1).argmax(), line.sum(0).argmax()])

    def press(*arrows: str) -> None:
        for arrow in arrows:
            page.keyboard.press(f"Arrow{arrow}")

    for view in ("Axial", "Coronal", "Sagittal"):
        page.get_by_text(view, exact=True).click()
        page.locator("#canvas").focus()
        stood, before = place(page), cross()
        press("Up")
        press("Left")
        assert np.sign(cross() - before).tolist() == [-1, -1], view
        press("Left")
        press("Down")
        assert np.sign(cross() - before).tolist() == [0, -1], "down as far as it went up"
        press("Right", "Right")
        assert place(page) == stood
        number = int(page.locator("#slice").input_value())
        page.keyboard.press("PageUp")
        expect(page.locator("#slice")).to_have_value(str(number + 1))


def test_two_fingers_make_it_larger(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    box = page.locator("#canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    body = (picture(page).min(2) > 150).sum()
    fingers = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 90), ("touchEnd", None)):
        points = [] if apart is None else [{"x": x - apart, "y": y}, {"x": x + apart, "y": y}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert (picture(page).min(2) > 150).sum() > 1.3 * body


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
