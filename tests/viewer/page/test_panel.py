"""What can be set on a map of the page of `simcrop view`, and what stands there of it.

Axes: no axes; similarity is a cosine.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.viewer.page.acts import LEFT_WORDS, RIGHT_WORDS, choose, expect, opened

pytestmark = pytest.mark.limit(240)


def test_buttons_of_a_map_that_is_not_the_active_one_do_what_they_say(open_page: Callable[..., Any]) -> None:
    page = opened(open_page(height=900))
    choose(page, RIGHT_WORDS)
    choose(page, LEFT_WORDS, beside=True)
    first = page.locator(".sentence.chosen", has_text=RIGHT_WORDS)
    first.get_by_role("button", name="Next").click(delay=150)  # as long as a finger takes
    expect(first.locator(".says")).to_contain_text("region 1")
    expect(page.locator(".sentence.active")).to_contain_text(RIGHT_WORDS)
    page.locator(".sentence.chosen", has_text=LEFT_WORDS).get_by_role("button", name="away").click(delay=150)
    expect(page.locator(".sentence.chosen")).to_have_count(1)
    expect(page.locator(".sentence.active")).to_contain_text(RIGHT_WORDS)


def test_figures_of_a_region_go_with_the_threshold_that_they_are_of(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    choose(page, RIGHT_WORDS)
    says = page.locator(".sentence.chosen .says")
    page.keyboard.press("c")
    expect(says).to_contain_text("ml")
    page.keyboard.press("]")
    expect(says).to_have_text("")
    page.keyboard.press("c")
    expect(says).to_contain_text("ml")


@pytest.mark.parametrize("words", ["5", ""])
def test_end_of_the_colour_scale_that_is_not_taken_does_not_stand_there(
    words: str, open_page: Callable[..., Any]
) -> None:
    page = opened(open_page(height=900))
    chosen = choose(page, RIGHT_WORDS)
    low, bar = chosen.get_by_label("Darkest colour"), chosen.locator(".bar")
    low.fill("0.3")
    low.press("Enter")
    look = bar.get_attribute("style")
    low.fill(words)
    low.press("Enter")
    expect(low).to_have_value("0.30")
    assert bar.get_attribute("style") == look


def test_shift_and_enter_show_a_typed_sentence_beside_the_others(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    choose(page, RIGHT_WORDS)
    page.keyboard.press("w")
    page.keyboard.type("Something on the left")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".sentence.chosen")).to_have_count(2)
    page.keyboard.type("Something else")
    page.keyboard.press("Enter")
    expect(page.locator(".sentence.chosen")).to_have_text([re.compile("Something else")])
