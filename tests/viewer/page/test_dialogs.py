"""The dialogs of the page of `simcrop view`, and a browser that keeps nothing for pages.

No axes or units.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.viewer.page.acts import RIGHT_WORDS, choose, expect, opened

pytestmark = pytest.mark.limit(240)
DROPPED = """(words) => {
  const dropped = new DataTransfer();
  dropped.setData("text/plain", words);
  return dropped;
}"""
NOTHING_KEPT = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("Access is denied for this document.", "SecurityError"); },
})"""


def test_report_that_was_typed_goes_along_with_a_scan_that_is_opened_by_its_path(
    open_page: Callable[..., Any],
) -> None:
    page = open_page()
    expect(page.locator("#found")).to_contain_text("studies")
    page.keyboard.press("u")
    page.locator("#upload summary").click()
    page.locator("#upload-report").fill("A mass that was typed.")
    page.locator("#path").fill("three.nii.gz")
    page.keyboard.press("Enter")
    expect(page.locator("#study-name")).to_have_text("three")
    expect(page.locator("#sentences")).to_contain_text("A mass that was typed.")


def test_refusal_goes_with_its_dialog(open_page: Callable[..., Any]) -> None:
    page = open_page()
    expect(page.locator("#found")).to_contain_text("studies")
    page.keyboard.press("u")
    page.locator("#files").set_input_files({"name": "empty.nii.gz", "mimeType": "x/y", "buffer": b""})
    expect(page.locator("#upload-problem")).to_have_text("The file is empty")
    page.keyboard.press("Escape")
    expect(page.locator("#upload")).to_be_hidden()
    page.keyboard.press("u")
    expect(page.locator("#upload")).to_be_visible()
    expect(page.locator("#upload-problem")).to_be_hidden()


def test_key_counts_at_once_after_a_dialog_has_closed(open_page: Callable[..., Any]) -> None:
    """Until the next picture is drawn the focus stays in it, which takes long where the processor draws."""
    page = open_page()
    expect(page.locator("#found")).to_contain_text("studies")
    page.evaluate(
        """() => {
          const dialog = document.getElementById("upload");
          dialog.showModal();
          dialog.close();
          const press = new KeyboardEvent("keydown", { key: "u", bubbles: true });
          document.activeElement.dispatchEvent(press);
        }"""
    )
    expect(page.locator("#upload")).to_be_visible()


def test_text_that_is_dropped_is_no_scan(open_page: Callable[..., Any]) -> None:
    page = open_page()
    expect(page.locator("#found")).to_contain_text("studies")
    page.dispatch_event("body", "drop", {"dataTransfer": page.evaluate_handle(DROPPED, "A mass.")})
    page.wait_for_timeout(300)
    expect(page.locator("#upload")).to_be_hidden()


def test_work_that_is_cancelled_while_it_is_asked_for_is_cancelled(open_page: Callable[..., Any]) -> None:
    page, held, job = opened(open_page()), list[Any](), "0" * 24
    choose(page, RIGHT_WORDS)
    page.route("**/export", lambda one: held.append(one))
    page.route(f"**/api/jobs/{job}", lambda one: one.fulfill(json={"state": "cancelled"}))
    page.keyboard.press("x")
    with page.expect_request("**/export"):
        page.locator("#export-nifti").click()
    page.locator("#export-cancel").click()
    with page.expect_request(lambda one: one.method == "DELETE" and one.url.endswith(job)):
        held[0].fulfill(status=202, json={"job": job})


def test_browser_that_keeps_nothing_shows_the_page_all_the_same(browser: Any, served: Any) -> None:
    context = browser.new_context(color_scheme="light")
    page, problems = context.new_page(), list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.add_init_script(NOTHING_KEPT)
    page.goto(served.address)
    expect(page.locator("#found")).to_contain_text("studies")
    page.locator("html[data-awake]").wait_for()
    page.keyboard.press("d")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert problems == []
    context.close()
