"""Who may ask, and what an answer tells those who may not.

No axes or units.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from simcrop.errors import SimcropError
from simcrop.viewer.guards import Door, Guard
from simcrop.viewer.serve import Wanted

TOKEN = "a-long-enough-token"
OURS = "127.0.0.1:8765"


@pytest.fixture(scope="module", params=["0.0.0.0", "127.0.0.1"])
def closed(cohort: Path, viewing: Callable[..., Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    """A viewer that asks for a token, of other machines or of other accounts of this one."""
    made = viewing(cohort, host=request.param, token=TOKEN)
    yield made
    made.view.stop()


@pytest.mark.parametrize(
    ("bound", "host", "known"),
    [
        ("127.0.0.1", "127.0.0.1:8765", True),
        ("127.0.0.1", "localhost:9000", True),
        ("127.0.0.1", "LOCALHOST", True),
        ("127.0.0.1", "[::1]:8765", True),
        ("127.0.0.1", "evil.example:8765", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "10.0.0.7:8765", False),
        ("127.0.0.1", "", False),
        ("10.0.0.7", "10.0.0.7:8765", True),
        ("10.0.0.7", "10.0.0.8:8765", False),
        ("ct.hospital.example", "ct.hospital.example:8765", True),
        ("0.0.0.0", "10.0.0.7:8765", True),
        ("0.0.0.0", "[fe80::1]:8765", True),
        ("0.0.0.0", "evil.example:8765", False),
    ],
)
def test_host_must_be_what_is_bound_to(viewer: Any, bound: str, host: str, known: bool) -> None:
    guard = Guard(viewer.client.app.app, Door(bound, 8765))
    answer = TestClient(guard, base_url="http://127.0.0.1").get("/api/about", headers={"Host": host})
    assert answer.status_code == (200 if known else 403)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        (f"http://{OURS}", 200),
        (f"https://{OURS}", 200),
        ("http://127.0.0.1:3000", 403),
        ("http://evil.example", 403),
        ("null", 403),
        (f"http://{OURS}.evil.example", 403),
        (f"http://evil@{OURS}", 403),
        ("http://[", 403),
    ],
)
def test_only_the_page_itself_may_ask(viewer: Any, origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"Origin": origin}
    assert viewer.client.post("/api/search", json={}, headers=headers).status_code == status
    assert viewer.client.get("/api/about", headers=headers).status_code == status


def test_what_changes_something_needs_a_header_that_no_form_sends(viewer: Any) -> None:
    plain = TestClient(viewer.client.app, base_url=f"http://{OURS}")
    answer = plain.post("/api/search", json={})
    assert answer.status_code == 403
    assert "X-Simcrop" in answer.json()["sentence"]
    assert plain.delete(f"/api/jobs/{'0' * 24}").status_code == 403
    assert plain.get("/api/about").status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/about", "/api/nothing", "/page/index.html"])
def test_every_answer_is_kept_private_and_to_this_host(viewer: Any, path: str) -> None:
    headers = viewer.client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert headers["cache-control"] == "no-store" or path.startswith("/page/")
    assert not [name for name in headers if name.startswith("access-control")]


def test_nothing_is_told_without_the_token(closed: Any) -> None:
    for path in ("/api/about", "/api/openapi.json", "/page/index.html", "/api/nothing"):
        answer = closed.client.get(path)
        assert answer.status_code == 401, path
    assert closed.client.post("/api/search", json={}).status_code == 401
    assert 'type="password"' in closed.client.get("/").text


def test_token_opens_by_header(closed: Any) -> None:
    def status(words: str) -> int:
        return closed.client.get("/api/about", headers={"Authorization": words}).status_code

    assert status(f"Bearer {TOKEN}") == 200
    assert [status(words) for words in (f"Bearer {TOKEN}x", "Bearer", TOKEN, f"Basic {TOKEN}")] == [401] * 4


def test_token_in_the_address_becomes_a_cookie_and_is_gone(closed: Any) -> None:
    browser = TestClient(closed.client.app, base_url=f"http://{OURS}", follow_redirects=False)
    assert browser.get("/", params={"token": "wrong"}).status_code == 401
    answer = browser.get("/", params={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert browser.get("/api/about").status_code == 200
    assert browser.get("/").status_code == 200


def test_token_is_in_no_printed_form_and_no_log(closed: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        closed.client.get("/", params={"token": TOKEN})
        closed.client.get("/api/about", headers={"Authorization": f"Bearer {TOKEN}"})
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert not [line for line in ours if TOKEN in line]  # the test's own client tells what it asks
    assert TOKEN not in repr(Door("0.0.0.0", 1, TOKEN)) + repr(Wanted(Path("x"), token=TOKEN))


@pytest.mark.parametrize(
    ("host", "token", "sound"),
    [
        ("127.0.0.1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("10.0.0.7", "short", False),
        ("10.0.0.7", "has spaces in itself", False),
        ("10.0.0.7", TOKEN, True),
    ],
)
def test_other_machines_are_let_in_with_a_token_only(host: str, token: str | None, sound: bool) -> None:
    wanted = Wanted(Path("x"), host=host, token=token)
    if sound:
        wanted.check()
    else:
        with pytest.raises(SimcropError, match="token"):
            wanted.check()


def test_command_line_refuses_an_open_address_in_one_line(
    simcrop: Callable[..., Any], cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIMCROP_VIEW_TOKEN", raising=False)
    assert "--token" in simcrop("view", cohort, "--host", "0.0.0.0", "--no-open").refusal
    refusal = simcrop("view", cohort.parent / "nothing", "--no-open", "--port", 0).refusal
    assert "no such file" in refusal


def test_damaged_cookie_is_no_key() -> None:
    door = Door("127.0.0.1", 8765, TOKEN)
    for cookie in ("", "=;=", f"{door.cookie_name}=", f"{door.cookie_name}=\x00", "a" * 9000):
        assert not door.knows(Headers({"cookie": cookie}))
    assert door.knows(Headers({"cookie": f"other=1; {door.cookie_name}={door.cookie}"}))
