"""What is typed, searched, sent, saved and linked on the page of `simcrop view`, in a browser.

Axes: pictures `(row, column, 3)`, uint8; places in RAS+ mm.
"""

import base64
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tasks.conftest import save_dicom, with_ids
from tests.viewer.page.acts import (
    AMBER,
    LEFT_WORDS,
    RIGHT_WORDS,
    choose,
    coloured,
    expect,
    opened,
    picture,
    place,
    ready,
)
from tests.viewer.page.conftest import RIGHT, chest

pytestmark = pytest.mark.limit(240)


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
    page.evaluate("location.hash = location.hash.replace('&look=outline', '')")
    expect(page.locator("#style-fill")).to_be_checked()


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
    page.keyboard.press("Escape")
    choose(page, LEFT_WORDS, beside=True)
    page.keyboard.press("]")
    page.keyboard.press("x")
    with page.expect_download() as nifti, page.expect_request("**/export") as asked:
        page.locator("#export-nifti").click()
    own, moved = asked.value.post_data_json["thresholds"]
    assert own is None, "the map's own"
    assert 0 < moved < 1
    assert nifti.value.suggested_filename.endswith(".zip")


def test_a_dicom_series_is_sent_as_a_folder_and_comes_back_as_dicom(
    open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page()
    expect(page.locator("#found")).to_contain_text("studies")
    page.keyboard.press("u")
    series = with_ids(save_dicom(tmp_path / "slices", chest((RIGHT,))[0][::2, ::2, ::2], "Doe^Jane"))
    page.locator("#folder").set_input_files(series)
    expect(page.locator("#upload")).to_be_hidden()
    expect(page.locator("#where")).to_contain_text("HU")
    page.locator("#own-words").fill("A mass on the right.")
    page.keyboard.press("Enter")
    expect(page.locator(".sentence.chosen")).to_have_count(1)
    page.locator("#open-export").click()
    with page.expect_download() as sent:
        page.locator("#export-dicom").click()
    with zipfile.ZipFile(sent.value.path()) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
    assert names >= {"maps.pm.dcm", "regions.seg.dcm", "report.sr.dcm"}
    assert "Doe" not in page.url + sent.value.suggested_filename + "".join(names)


def test_a_dropped_file_is_opened(open_page: Callable[..., Any], served: Any) -> None:
    page = open_page()
    expect(page.locator("#found")).to_contain_text("studies")
    content = base64.b64encode((served.raw / "three.nii.gz").read_bytes()).decode()
    dropped = page.evaluate_handle(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const dropped = new DataTransfer();
          dropped.items.add(new File([bytes], "mine.nii.gz"));
          return dropped;
        }""",
        content,
    )
    for kind in ("dragenter", "drop"):
        page.dispatch_event("body", kind, {"dataTransfer": dropped})
    expect(page.locator("#study-name")).to_have_text("mine.nii.gz")
    expect(page.locator("#where")).to_contain_text("HU")
