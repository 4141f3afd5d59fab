"""What the page of `simcrop view` does with an answer that comes when something else is wanted already.

Axes: places in RAS+ mm.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.viewer.page.acts import LEFT_WORDS, RIGHT_WORDS, choose, expect, opened, place, ready

pytestmark = pytest.mark.limit(240)
NAMES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota"]


def click(page: Any, name: str) -> None:
    page.locator("#study-list button", has=page.get_by_text(name, exact=True)).click()


def settled(page: Any) -> None:
    """What was let go has come, and is drawn."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)


def test_of_two_sentences_the_one_that_was_clicked_last_is_shown(open_page: Callable[..., Any]) -> None:
    page, held = opened(open_page()), list[Any]()
    page.route("**/api/maps/*.nii.gz", lambda one: held.append(one))
    for number, words in enumerate((RIGHT_WORDS, LEFT_WORDS), 1):
        with page.expect_request("**/api/maps/*.nii.gz"):
            page.locator("#sentences .line", has_text=words).click()
        while len(held) < number:
            page.wait_for_timeout(20)
    for one in reversed(held):
        one.continue_()
        settled(page)
    expect(page.locator(".sentence.chosen")).to_have_count(1)
    expect(page.locator(".sentence.chosen")).to_contain_text(LEFT_WORDS)
    expect(page.locator("#sentences [aria-busy]")).to_have_count(0)


def test_map_that_is_taken_away_before_it_has_come_does_not_come(open_page: Callable[..., Any]) -> None:
    page, held = opened(open_page()), list[Any]()
    page.route("**/api/maps/*.nii.gz", lambda one: held.append(one))
    with page.expect_request("**/api/maps/*.nii.gz"):
        page.locator("#sentences .line", has_text=RIGHT_WORDS).click()
    page.keyboard.press("Escape")
    held[0].continue_()
    expect(page.locator("#sentences [aria-busy]")).to_have_count(0)  # it has come
    settled(page)
    assert page.locator(".sentence.chosen").count() == 0


@pytest.mark.parametrize("there", [True, False])
def test_region_of_a_study_that_was_left_moves_nothing_in_the_next(
    there: bool, open_page: Callable[..., Any]
) -> None:
    page, regions, scans = opened(open_page()), list[Any](), list[Any]()
    choose(page, RIGHT_WORDS)
    page.route("**/regions*", lambda one: regions.append(one))
    if not there:
        page.route("**/scan.nii.gz", lambda one: scans.append(one))
    with page.expect_request("**/regions*"):
        page.keyboard.press("n")
    click(page, "two")
    if there:
        ready(page)
    else:
        expect(page.locator("#study-name")).to_have_text("two")
    stood = place(page)
    regions[0].continue_()
    settled(page)
    assert place(page) == stood
    expect(page.locator("#says")).not_to_contain_text("Cannot")


def test_finer_and_back_in_a_moment_keeps_what_is_shown_and_the_scores_of_what_is_set(
    open_page: Callable[..., Any],
) -> None:
    page, held = opened(open_page()), list[Any]()
    choose(page, RIGHT_WORDS)
    scores = page.locator("#sentences .score").all_inner_texts()

    def hold(one: Any) -> None:
        """The first finer answer comes last."""
        if one.request.post_data_json["fine"] > 1 and not held:
            held.append(one)
        else:
            one.continue_()

    page.route("**/maps", hold)
    with page.expect_request("**/maps"):
        page.keyboard.press("f")
    page.keyboard.press("f")
    expect(page.locator(".sentence.chosen")).to_contain_text(RIGHT_WORDS)
    held[0].continue_()
    settled(page)
    expect(page.locator("#finer")).to_have_attribute("aria-pressed", "false")
    choose(page, LEFT_WORDS)  # all lines are drawn anew
    assert page.locator("#sentences .score").all_inner_texts() == scores
    expect(page.locator("#sentences .problem")).to_have_count(0)


def test_sentence_that_stands_twice_in_a_long_report_has_its_score_twice(
    open_page: Callable[..., Any], served: Any
) -> None:
    page = open_page()
    expect(page.locator("#found")).to_contain_text("studies")
    page.keyboard.press("u")
    page.locator("#upload summary").click()
    between = " ".join(f"Thing {name} is seen." for name in NAMES)
    page.locator("#upload-report").fill(f"Findings: No effusion. {between}\nImpression: No effusion.")
    page.locator("#files").set_input_files(served.raw / "two.nii.gz")
    expect(page.locator("#sentences .score")).to_have_count(len(NAMES) + 2)
    expect(page.locator("#sentences .score.waits")).to_have_count(0)


def test_look_at_a_study_that_was_left_holds_up_nobody(open_page: Callable[..., Any]) -> None:
    page, job = opened(open_page()), "0" * 24
    waits = {"state": "running", "progress": 0.1, "says": "looking", "result": None, "error": None}
    page.route("**/look", lambda one: one.fulfill(status=202, json={"job": job}))
    page.route(f"**/api/jobs/{job}", lambda one: one.fulfill(json=waits))
    with page.expect_request(f"**/api/jobs/{job}"):
        click(page, "two")
    with page.expect_request(lambda one: one.method == "DELETE" and one.url.endswith(job)):
        click(page, "three")


def test_similar_studies_go_with_the_study_that_they_are_like(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    page.seen.expected.append("the server responded with a status of")
    page.keyboard.press("s")
    expect(page.locator("#similar .similar-list button")).to_have_count(2)
    page.route(
        "**/api/studies/*", lambda one: one.fulfill(status=422, json={"reason": "x", "sentence": "no"})
    )
    click(page, "two")
    expect(page.locator("#stage-says.problem")).to_have_text("no")
    expect(page.locator("#similar")).to_be_hidden()


def test_refusal_of_a_scan_stays_where_finer_maps_are_asked_for(open_page: Callable[..., Any]) -> None:
    page = opened(open_page())
    page.seen.expected.append("the server responded with a status of")
    told = {"status": 422, "json": {"reason": "damaged", "sentence": "its voxels are damaged"}}
    page.route("**/scan.nii.gz", lambda one: one.fulfill(**told))
    click(page, "two")
    expect(page.locator("#stage-says.problem")).to_have_text("its voxels are damaged")
    page.keyboard.press("f")
    settled(page)
    expect(page.locator("#stage-says.problem")).to_have_text("its voxels are damaged")
