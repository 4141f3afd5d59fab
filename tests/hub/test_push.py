"""Models sent to the hub: with a card and a licence, harmless files alone, and no token in any word."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import simcrop as package
from simcrop.data.readers import read_volume

pytestmark = [
    pytest.mark.usefixtures("logged_in"),
    pytest.mark.filterwarnings(
        "ignore:Use 'content=:DeprecationWarning"
    ),  # the client's, about its own client
]
LICENCE = ("--licence", "apache-2.0")


def test_exported_folder_goes_there_and_comes_back(
    hub, simcrop: Callable, exported: Path, run: Path, chest_file: Path
) -> None:
    ran = simcrop("push", exported, "hf://lab/model")
    assert ran.code == 0, ran.err
    of = hub.repositories["lab/model"]
    assert ran.out.strip() == f"sent to hf://lab/model, commit {of.sha[:12]}"
    sent = {p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()}
    assert set(of.files) == sent - {"run.json", "metrics.json"}
    assert of.files["model.safetensors"] == (exported / "model.safetensors").read_bytes()
    assert not of.private
    scan = read_volume(chest_file)
    assert (package.load("hf://lab/model").embed(scan) == package.load(run).embed(scan)).all()


def test_run_is_exported_on_the_way_and_is_as_it_was(
    hub, simcrop: Callable, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(run.rglob("*"))
    ran = simcrop("push", run, "hf://lab/model", "--private", *LICENCE)
    assert ran.code == 0, ran.err
    of = hub.repositories["lab/model"]
    assert of.private
    assert of.files["README.md"].startswith(b"---\nlicense: apache-2.0\n")
    assert sorted(run.rglob("*")) == before
    assert not list(tmp_path.glob("simcrop-push-*"))


def test_without_a_card_or_a_licence_nobody_is_asked(
    hub, simcrop: Callable, exported: Path, run: Path, tmp_path: Path
) -> None:
    assert "has no model card" in simcrop("push", run, "hf://lab/model").refusal
    copy = Path(shutil.copytree(exported, tmp_path / "copy"))
    (copy / "README.md").write_text("# A model\n")
    assert "README.md states no licence" in simcrop("push", copy, "hf://lab/model").refusal
    (copy / "README.md").write_text("---\nlicense: other\n---\n# A model\n")
    assert "states no licence" in simcrop("push", copy, "hf://lab/model").refusal
    (copy / "README.md").write_text("---\nlicense: mit\ndate: 2024-02-30\n---\n# A model\n")
    assert "states no licence" in simcrop("push", copy, "hf://lab/model").refusal
    assert "leave --licence" in simcrop("push", exported, "hf://lab/model", *LICENCE).refusal
    assert not hub.asked


def test_card_written_by_hand_beside_a_model_of_this_machine_is_not_enough(
    hub, simcrop: Callable, run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / "model/README.md").write_text("---\nlicense: mit\n---\n# A model\n")
    refusal = simcrop("push", copy, "hf://lab/model").refusal
    assert "config.json names files or folders of this machine: `simcrop export`" in refusal
    assert not hub.asked


def test_what_is_no_part_of_the_model_stays_here_and_is_named(
    hub, simcrop: Callable, exported: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(exported, tmp_path / "copy"))
    for name in (
        "audit/run.json",
        "audit/metrics.json",
        "heat/scan/ground.json",
        "notes.md",
        "text/notes.md",
    ):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("{}")
    ran = simcrop("push", copy, "hf://lab/model")
    assert ran.code == 0, ran.err
    sent = {p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()}
    assert set(hub.repositories["lab/model"].files) == sent - {"run.json", "metrics.json"}
    assert "not sent: audit, heat, notes.md, text/notes.md" in ran.out


def test_what_an_earlier_model_left_there_is_no_part_of_the_new_one(
    hub, simcrop: Callable, exported: Path, run: Path, chest_file: Path
) -> None:
    listed = b'{"sha256": {"model.safetensors": "of another model"}}'
    of = hub.put("lab/model", exported, **{"sha256.json": listed, "encoder.onnx": b"x", "picture.png": b"x"})
    assert simcrop("push", exported, "hf://lab/model").code == 0
    assert {"sha256.json", "encoder.onnx"}.isdisjoint(of.files)
    assert of.files["picture.png"] == b"x"
    scan = read_volume(chest_file)
    assert (package.load("hf://lab/model").embed(scan) == package.load(run).embed(scan)).all()


def test_public_repository_never_takes_what_is_meant_to_be_private(
    hub, simcrop: Callable, exported: Path
) -> None:
    of = hub.put("lab/model", exported)
    of.files["README.md"] = b"old"
    refusal = simcrop("push", exported, "hf://lab/model", "--private").refusal
    assert "is there already and public" in refusal
    assert of.files["README.md"] == b"old"
    assert simcrop("push", exported, "hf://lab/model").code == 0
    assert of.files["README.md"] != b"old"


def test_pickles_and_code_stay_here_and_are_not_joined(
    hub, simcrop: Callable, exported: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(exported, tmp_path / "copy"))
    (copy / "optimizer.pt").write_bytes(b"x")
    assert "optimizer.pt, which may be a pickle" in simcrop("push", copy, "hf://lab/model").refusal
    assert not hub.asked
    hub.put("lab/model", exported, **{"modeling.py": b"import os"})
    assert "hf://lab/model holds modeling.py" in simcrop("push", exported, "hf://lab/model").refusal


@pytest.mark.parametrize("where", ["/api/models/lab/model", "/api/repos/create", "/commit/", "/upload"])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_what_the_hub_refuses_is_one_line_without_the_token(
    hub,
    logged_in: str,
    simcrop: Callable,
    exported: Path,
    where: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.answers[where] = status
    refusal = simcrop("push", exported, "hf://lab/model").refusal
    assert refusal.startswith("hf://lab/model: ")
    assert ("HF_TOKEN" in refusal) == (status < 500), refusal
    ran = simcrop("--debug", "push", exported, "hf://lab/model")
    assert ran.code == 2
    assert logged_in not in ran.out + ran.err + refusal


def test_nobody_who_is_not_logged_in_sends_anything(
    hub, simcrop: Callable, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    refusal = simcrop("push", exported, "hf://lab/model").refusal
    assert refusal == (
        "hf://lab/model: sending it needs a token: log in with `hf auth login`, or give a token as HF_TOKEN"
    )
    assert not hub.asked


@pytest.mark.parametrize("to", ["lab/model", "hf://model", "hf://lab/model@v1"])
def test_wrong_targets_are_one_line(hub, simcrop: Callable, exported: Path, to: str) -> None:
    assert to in simcrop("push", exported, to).refusal
    assert not hub.asked
