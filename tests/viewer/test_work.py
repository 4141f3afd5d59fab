"""Jobs: one after the other, bounded, cancelled at once; and reads that wait for none of them.

No axes or units.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simcrop.errors import SimcropError
from simcrop.viewer.kept import Kept
from simcrop.viewer.work import Job, Queue


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """What is held until the test lets it go."""
    let_go = threading.Event()
    yield let_go
    let_go.set()


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_queue_that_is_full_refuses_and_goes_on(held: threading.Event) -> None:
    work = Queue("test", 2, 10)
    first = work.put(lambda _: held.wait(20))
    wait_for(lambda: first.state == "running")
    waiting = [work.put(lambda _: {"n": 1}) for _ in range(2)]
    with pytest.raises(SimcropError) as refused:
        work.put(lambda _: None)
    assert refused.value.reason == "busy"
    held.set()
    assert [job.future.result(20) for job in waiting] == [{"n": 1}] * 2
    assert work.put(lambda _: 5).future.result(20) == 5


def test_cancelled_job_ends_at_once_and_is_left(held: threading.Event) -> None:
    work, seen = Queue("test", 5, 10), list[str]()

    def do(job: Job) -> None:
        job.tell(0.5, "half")
        held.wait(20)
        try:
            job.tell(0.6, "more")
        finally:
            seen.append(job.state)
        seen.append("finished")

    running, waiting = work.put(do), work.put(lambda _: seen.append("ran"))
    wait_for(lambda: running.says == "half")
    running.cancel()
    waiting.cancel()
    assert (running.state, waiting.state) == ("cancelled", "cancelled")
    held.set()
    assert work.put(lambda _: "next").future.result(20) == "next"
    assert seen == ["cancelled"]


def test_fault_ends_the_job_and_not_the_thread_and_its_words_are_kept_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: Job) -> None:
        raise ValueError("zebrafinchitis of Mr X")

    work = Queue("test", 5, 10)
    job = work.put(broken)
    wait_for(lambda: not job.open)
    assert job.state == "failed"
    assert job.error is not None
    assert "ValueError" in job.error.sentence
    assert "zebrafinchitis" not in job.error.sentence + caplog.text
    assert work.put(lambda _: 1).future.result(20) == 1


def test_finished_jobs_are_forgotten_when_they_are_many() -> None:
    work = Queue("test", 50, 5)
    jobs = [work.put(lambda _: None) for _ in range(20)]
    jobs[-1].future.result(20)
    work.put(lambda _: None).future.result(20)
    assert len(work.jobs) <= 6
    assert work.find(jobs[0].id) is None


def test_reads_wait_for_no_work_and_a_full_queue_says_429(
    cohort: Path, model: Path, viewing: Callable[..., Any], held: threading.Event
) -> None:
    made = viewing(cohort, model, waiting=1)
    key = made.key("ct0")
    blocking = made.view.quick.put(lambda _: held.wait(30))
    wait_for(lambda: blocking.state == "running")
    begun = made.client.post(f"/api/studies/{key}/look").json()["job"]
    refused = made.client.post(f"/api/studies/{key}/maps", json={"sentences": ["A nodule."]})
    assert refused.status_code == 429
    assert refused.headers["retry-after"]
    assert made.client.get(f"/api/studies/{key}").status_code == 200
    assert made.client.get(f"/api/studies/{key}/scan.nii.gz").status_code == 200
    assert made.client.get(f"/api/jobs/{begun}").json()["state"] == "waiting"
    assert made.client.delete(f"/api/jobs/{begun}").json()["state"] == "cancelled"
    assert made.client.get(f"/api/jobs/{'0' * 24}").status_code == 404
    held.set()
    made.view.stop()


def test_upload_that_is_cancelled_leaves_nothing(
    cohort: Path, raw: Path, viewing: Callable[..., Any], held: threading.Event
) -> None:
    made = viewing(cohort)
    blocking = made.view.quick.put(lambda _: held.wait(30))
    content = (raw / "ct0.nii.gz").read_bytes()
    begun = made.client.post("/api/uploads", files=[("files", ("a.nii.gz", content))]).json()["job"]
    assert made.client.delete(f"/api/jobs/{begun}").json()["state"] == "cancelled"
    held.set()
    blocking.future.result(20)
    made.view.quick.put(lambda _: None).future.result(20)
    assert list(made.view.folder.iterdir()) == []
    assert made.client.get("/api/about").json()["studies"] == 4


def test_what_is_kept_is_made_once_and_bounded() -> None:
    kept, made = Kept[bytes](10, len), list[str]()

    def make(name: str, size: int) -> bytes:
        made.append(name)
        time.sleep(0.05)
        return b"x" * size

    threads = [threading.Thread(target=lambda: kept.get("a", lambda: make("a", 4))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["a"]
    kept.get("b", lambda: make("b", 4))
    kept.get("a", lambda: make("a", 4))
    kept.get("c", lambda: make("c", 4))
    assert list(kept.values) == ["a", "c"]  # b was asked for longest ago
    assert len(kept.get("whale", lambda: make("whale", 11))) == 11
    assert list(kept.values) == ["a", "c"]
    assert kept.used == 8


def test_maps_that_were_sent_are_kept_within_their_bounds_only(
    cohort: Path, model: Path, viewing: Callable[..., Any]
) -> None:
    made = viewing(cohort, model, maps=1)  # less than any map
    path = f"/api/studies/{made.key('ct0')}/maps"
    for n in range(3):
        assert made.client.post(path, json={"sentences": [f"Nodule {n}."]}).status_code == 200
    gave = [job.result for job in made.view.quick.jobs.values() if isinstance(job.result, list)]
    assert gave == []
    made.view.stop()
