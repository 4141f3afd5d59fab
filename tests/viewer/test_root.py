"""Scans below the folder that `--root` names, opened by their path: those, and nothing that lies elsewhere.

No axes or units.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_scan_below_the_root_is_opened_and_nothing_else(
    cohort: Path, raw: Path, viewing: Callable[..., Any]
) -> None:
    open_door = viewing(cohort, root=raw)
    ended = open_door.done("/api/open", json={"path": "ct2.nii.gz"})
    assert open_door.client.get(f"/api/studies/{ended['result']['key']}").json()["name"] == "ct2"
    outside = raw.parent / "outside.nii.gz"
    outside.write_bytes((raw / "ct0.nii.gz").read_bytes())
    sentences = set()
    for path in (
        "../outside.nii.gz",
        str(outside),
        "nothing.nii.gz",
        "/etc/passwd",
        "a\0b",
        "reports.csv",
        ".",
    ):
        ended = open_door.done("/api/open", json={"path": path})
        assert ended["error"]["reason"] == "no-scan", path
        sentences.add(ended["error"]["sentence"])
    assert len(sentences) == 1  # nobody learns what lies elsewhere
    open_door.view.stop()


@pytest.mark.parametrize("inside", [True, False])
def test_mask_beside_a_scan_below_the_root_is_shown_if_it_lies_there_itself(
    cohort: Path, raw: Path, viewing: Callable[..., Any], tmp_path: Path, inside: bool
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(raw / "ct0.nii.gz", root)
    real = (root if inside else tmp_path) / "labels" / "kept.nii.gz"
    real.parent.mkdir()
    shutil.copy(raw / "ct0_mask.nii.gz", real)
    (root / "ct0_mask.nii.gz").symlink_to(real)
    made = viewing(cohort, root=root)
    key = made.done("/api/open", json={"path": "ct0.nii.gz"})["result"]["key"]
    assert (made.client.get(f"/api/studies/{key}").json()["truth"] is not None) == inside
    made.view.stop()


def test_report_beside_a_scan_below_the_root_is_read_if_it_lies_there_itself(
    cohort: Path, raw: Path, viewing: Callable[..., Any], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("Findings: Words of somebody else.")
    made = viewing(cohort, root=root)
    for name, real in {"ct0": tmp_path / "secret.txt", "ct1": root / "kept.txt"}.items():
        shutil.copy(raw / f"{name}.nii.gz", root)
        (root / f"{name}.txt").symlink_to(real)
    (root / "kept.txt").write_text("Findings: A nodule.")

    def sentences(name: str) -> list[str]:
        key = made.done("/api/open", json={"path": f"{name}.nii.gz"})["result"]["key"]
        return [line["text"] for line in made.client.get(f"/api/studies/{key}").json()["sentences"]]

    assert sentences("ct0") == []
    assert sentences("ct1") == ["A nodule."]
    made.view.stop()


def test_report_that_was_typed_for_a_path_stands_beside_its_scan(
    raw: Path, viewing: Callable[..., Any]
) -> None:
    made = viewing(raw, root=raw)

    def sentences(key: str) -> list[str]:
        return [line["text"] for line in made.client.get(f"/api/studies/{key}").json()["sentences"]]

    listed = made.key("ct1")
    told = sentences(listed)
    keys = []
    for report in ("Findings: A mass. No effusion.", "Impression: Normal."):
        ended = made.done("/api/open", json={"path": "ct1.nii.gz", "report": report})
        keys.append(ended["result"]["key"])
        assert sentences(keys[-1]) == [
            part for part in ("A mass.", "No effusion.", "Normal.") if part in report
        ]
    assert keys[0] == keys[1], "the latest report is that of the study"
    assert keys[0] != listed
    assert sentences(listed) == told
    made.view.stop()


def test_listed_scan_that_is_opened_by_its_path_is_listed_once_and_stays(
    raw: Path, viewing: Callable[..., Any]
) -> None:
    made = viewing(raw, root=raw, uploads=1)
    key = made.key("ct1")
    for name in ("ct1", "ct2"):  # the second one makes room, if it needs any
        assert made.done("/api/open", json={"path": f"{name}.nii.gz"})["result"]["key"] == made.key(name)
    assert made.client.post("/api/search", json={}).json()["total"] == 4
    study = made.client.get(f"/api/studies/{key}")
    assert study.status_code == 200
    assert study.json()["sentences"], "the table's report"
    made.view.stop()


def test_scan_that_was_exchanged_behind_its_path_is_looked_at_again(
    cohort: Path, model: Path, raw: Path, viewing: Callable[..., Any], tmp_path: Path
) -> None:
    made = viewing(cohort, model, root=tmp_path)
    asked = {"sentences": ["There is a nodule."]}

    def found(name: str) -> tuple[dict[str, Any], bytes, list[dict[str, Any]]]:
        """Map, scan and similar studies once the path holds this one."""
        shutil.copy(raw / f"{name}.nii.gz", tmp_path / "ct.nii.gz")
        path = f"/api/studies/{made.done('/api/open', json={'path': 'ct.nii.gz'})['result']['key']}"
        made.done(f"{path}/similar", json={})
        return (
            made.client.post(f"{path}/maps", json=asked).json()["maps"][0],
            made.client.get(f"{path}/scan.nii.gz").content,
            made.client.post(f"{path}/similar", json={}).json()["studies"],
        )

    first, other = found("ct0"), found("ct3")
    assert all(one != two for one, two in zip(first, other, strict=True))
    made.view.stop()


def test_nothing_is_opened_without_a_root(viewer: Any) -> None:
    assert viewer.client.post("/api/open", json={"path": "x"}).status_code == 404
