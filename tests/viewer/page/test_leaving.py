"""What the page of `simcrop view` shows while a study goes and the next one comes or does not, and what goes along.

Axes: pictures `(row, column, 3)`, uint8; places in RAS+ mm.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.viewer.page.acts import AMBER, LEFT_WORDS, RIGHT_WORDS, choose, coloured, expect, opened, picture
from tests.viewer.page.conftest import REPORT

from simcrop.viewer.kept import Kept

pytestmark = pytest.mark.limit(240)
REFUSED = "the server responded with a status of"  # what Chromium itself says of a refusal
LONG = "A mass that " + "goes on and " * 200 + "on."


def drawn(page: Any) -> bool:
    """Whether there is soft tissue on the canvas; the words over it are no more than a few points."""
    return int((picture(page).min(2) > 150).sum()) > 20_000


def click(page: Any, name: str) -> None:
    page.locator("#study-list button", has=page.get_by_text(name, exact=True)).click()


def test_nothing_of_a_study_stands_beside_the_name_of_the_next_while_that_comes(
    open_page: Callable[..., Any], keep_picture: Callable[[Any, str], None]
) -> None:
    page = opened(open_page())
    choose(page, RIGHT_WORDS)
    held: list[Any] = []
    page.route("**/scan.nii.gz", lambda one: held.append(one))
    assert drawn(page)
    click(page, "two")
    expect(page.locator("#study-name")).to_have_text("two")
    assert not drawn(page)
    expect(page.locator("#where")).to_have_text("")
    for name in ("#open-export", "#copy-link"):
        expect(page.locator(name)).to_be_disabled()
    keep_picture(page, "coming")
    line = page.locator("#sentences .line", has_text=LEFT_WORDS)
    line.click()  # before there is anything that its map could lie on
    expect(line).to_have_attribute("aria-busy", "true")
    expect(page.locator(".sentence.chosen")).to_have_count(0)
    held[0].continue_()
    expect(page.locator(".sentence.chosen")).to_contain_text(LEFT_WORDS)
    page.keyboard.press("c")
    expect(page.locator(".sentence.chosen .says")).to_contain_text("region 1")
    assert len(coloured(picture(page), AMBER)) > 60, "the map that was asked for early"
    expect(page.locator("#copy-link")).to_be_enabled()


@pytest.mark.parametrize("what", ["scan.nii.gz", "study"])
def test_study_that_cannot_be_shown_says_so_in_its_place(
    what: str, open_page: Callable[..., Any], keep_picture: Callable[[Any, str], None]
) -> None:
    page = opened(open_page())
    page.seen.expected.append(REFUSED)
    told = {"status": 422, "json": {"reason": "damaged", "sentence": "its voxels are damaged"}}
    key = page.locator("#study-list button", has=page.get_by_text("two", exact=True)).get_attribute(
        "data-key"
    )
    page.route(
        f"**/api/studies/{key}{'/scan.nii.gz' if what != 'study' else ''}", lambda one: one.fulfill(**told)
    )
    click(page, "two")
    expect(page.locator("#stage-says.problem")).to_have_text("its voxels are damaged")
    expect(page.locator("#study-name")).to_have_text("No study open" if what == "study" else "two")
    keep_picture(page, f"refused-{what}")
    assert not drawn(page)
    expect(page.locator("#open-export")).to_be_disabled()
    for key in ("x", "l", "t", "c", "ArrowUp"):
        page.keyboard.press(key)
    keep_picture(page, f"refused-{what}")
    if what != "study":
        page.locator("#sentences .line", has_text=LEFT_WORDS).click()
        expect(page.locator("#sentences .problem")).to_have_text("its voxels are damaged")
        expect(page.locator(".sentence.chosen")).to_have_count(0)
    opened(page, "one")
    assert drawn(page)
    expect(page.locator("#stage-says")).to_have_text("")


def test_map_stays_when_the_server_has_started_anew_and_gives_it_another_id(
    open_page: Callable[..., Any], served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(open_page())
    page.seen.expected.append(REFUSED)
    choose(page, RIGHT_WORDS)
    sight = served.view.sight
    monkeypatch.setattr(sight, "secret", b"another")
    monkeypatch.setattr(sight, "found", Kept(sight.found.room, sight.found.size))
    page.keyboard.press("c")
    expect(page.locator(".sentence.chosen .says")).to_contain_text("region 1")
    assert len(coloured(picture(page), AMBER)) > 60


def test_sentence_that_is_too_long_says_so_and_costs_no_other_its_score(
    open_page: Callable[..., Any], served: Any, keep_picture: Callable[[Any, str], None]
) -> None:
    page = open_page()
    page.seen.expected.append(REFUSED)
    expect(page.locator("#found")).to_contain_text("studies")
    page.keyboard.press("u")
    page.locator("#upload summary").click()
    page.locator("#upload-report").fill(f"{REPORT.partition('Impression')[0]}{LONG}\nImpression: Two masses.")
    page.locator("#files").set_input_files(served.raw / "two.nii.gz")
    expect(page.locator("#where")).to_contain_text("HU")
    lines = page.locator("#sentences .sentence")
    expect(lines).to_have_count(6)
    expect(page.locator("#sentences .score.waits")).to_have_count(1)
    expect(lines.filter(has_text="goes on").locator(".problem")).to_contain_text(
        "expected at most 2000 characters"
    )
    expect(page.locator("#sentences .problem")).to_have_count(1)
    lines.filter(has_text="goes on").locator(".problem").scroll_into_view_if_needed()
    keep_picture(page, "too-long")


def test_report_that_was_typed_goes_along_with_its_own_scan_only(
    open_page: Callable[..., Any], served: Any
) -> None:
    page = open_page()
    expect(page.locator("#found")).to_contain_text("studies")
    page.keyboard.press("u")
    page.locator("#upload summary").click()
    page.locator("#upload-report").fill("A mass of somebody else.")
    page.locator("#files").set_input_files(served.raw / "two.nii.gz")
    expect(page.locator("#sentences")).to_contain_text("A mass of somebody else.")
    page.keyboard.press("u")
    expect(page.locator("#upload-report")).to_have_value("")
    page.locator("#upload-report").fill("Typed, and not sent.")
    page.keyboard.press("Escape")
    picture(page)  # the dialog has told that it was closed
    page.keyboard.press("u")
    page.locator("#files").set_input_files(served.raw / "three.nii.gz")
    expect(page.locator("#study-name")).to_have_text("three.nii.gz")
    expect(page.locator("#notes")).to_contain_text("has no report")
