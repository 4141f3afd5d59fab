"""The page of `simcrop view` for everybody: light and dark, wide and narrow, with what axe-core knows about barriers.

Sizes in px.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.viewer.page.acts import choose, expect, opened
from tests.viewer.page.conftest import AXE, missing

pytestmark = pytest.mark.limit(240)


def barriers(page: Any) -> list[str]:
    if not AXE.is_file():
        missing("npm ci in viewer-page, for axe-core")
    page.evaluate(AXE.read_text() + ";0")
    found = page.evaluate("axe.run()")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['target']}" for one in found]


@pytest.mark.parametrize(
    ("scheme", "width", "height"), [("dark", 1280, 800), ("light", 1920, 1080), ("light", 820, 1180)]
)
def test_no_barrier_and_nothing_beyond_the_edge(
    scheme: str,
    width: int,
    height: int,
    open_page: Callable[..., Any],
    keep_picture: Callable[[Any, str], None],
) -> None:
    page = open_page(width=width, height=height, scheme=scheme)
    assert barriers(page) == []
    opened(page)
    choose(page, "A mass is seen in the right lung.")
    page.keyboard.press("c")
    expect(page.locator(".sentence.chosen .says")).to_contain_text("region 1")
    page.get_by_text("All", exact=True).click()
    page.keyboard.press("t")
    expect(page.locator("#truth-classes")).to_be_visible()
    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    keep_picture(page, f"{scheme}-{width}")
    for key, name in (("?", "help"), ("u", "upload"), ("x", "export")):
        page.keyboard.press(key)
        expect(page.locator(f"#{name}")).to_be_visible()
        assert barriers(page) == []
        keep_picture(page, f"{scheme}-{width}-{name}")
        page.keyboard.press("Escape")


def test_the_switch_outlasts_a_reload(open_page: Callable[..., Any]) -> None:
    page = open_page(scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.keyboard.press("d")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
