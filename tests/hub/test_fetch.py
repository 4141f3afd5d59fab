"""Models by their hub id: as from a folder, and nothing that could run is ever read."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

import simcrop as package
from simcrop.data.readers import read_volume
from simcrop.errors import SimcropError

ASK = ("--sentence", "A nodule.")


def test_model_of_the_hub_embeds_as_the_folder_does(hub, exported: Path, run: Path, chest_file: Path) -> None:
    hub.put("lab/model", exported)
    scan = read_volume(chest_file)
    found = package.load("hf://lab/model").embed(scan)
    assert (found == package.load(run).embed(scan)).all()
    fetched = {p.name for p in Path(hub_cache(hub)).rglob("snapshots/*/*")}
    assert "config.json" in fetched


def hub_cache(hub) -> str:
    from huggingface_hub import constants

    assert hub.endpoint
    return str(constants.HF_HUB_CACHE)


def test_files_that_a_model_does_not_need_are_not_fetched(hub, exported: Path) -> None:
    hub.put("lab/model", exported, **{"picture.png": b"x" * 99, "encoder.onnx": b"y", "run.json": b"{}"})
    package.load("hf://lab/model")
    names = {p.name for p in Path(hub_cache(hub)).rglob("snapshots/*/*")}
    assert {"config.json", "model.safetensors", "tokenizer"} <= names
    assert not names & {"picture.png", "encoder.onnx"}


def test_verbs_take_hub_ids(hub, simcrop: Callable, exported: Path, chest_file: Path, tmp_path: Path) -> None:
    hub.put("lab/model", exported)
    assert simcrop("embed", "hf://lab/model", chest_file, "--out", tmp_path / "embedded").code == 0
    assert simcrop("ground", "hf://lab/model@v1", chest_file, *ASK, "--out", tmp_path / "map").code == 0


def test_id_is_settled_once_and_comes_from_the_cache_when_the_hub_is_gone(
    hub, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simcrop.hub.fetch import fetched, fetched_from

    hub.put("lab/model", exported)
    first = fetched("hf://lab/model")
    asked = len(hub.asked)
    assert fetched("hf:/lab/model") == first  # as a path has it
    assert len(hub.asked) == asked
    fetched_from.cache_clear()
    hub.answers["/api/"] = 503
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert fetched("hf://lab/model") == first


WRONG = [
    "hf://",
    "hf://model",
    "hf://lab/model/deep",
    "hf://lab/..",
    "hf://lab/mo del",
    "hf://lab/model@",
    "hf://../x",
]


@pytest.mark.parametrize("words", WRONG)
def test_what_is_no_id_is_one_line_and_nobody_is_asked(
    hub, simcrop: Callable, chest_file: Path, words: str, tmp_path: Path
) -> None:
    refusal = simcrop("embed", words, chest_file, "--out", tmp_path / "out").refusal
    assert "is no hub id: expected hf://owner/name" in refusal
    assert not hub.asked
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("logged_in")
def test_private_absent_and_forbidden_models_are_one_line(
    hub,
    simcrop: Callable,
    exported: Path,
    chest_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub.put("lab/mine", exported, private=True)
    assert simcrop("embed", "hf://lab/mine", chest_file, "--out", tmp_path / "seen").code == 0

    from simcrop.hub.fetch import fetched_from

    fetched_from.cache_clear()
    monkeypatch.delenv("HF_TOKEN")
    for words in ("hf://lab/mine", "hf://lab/none"):
        refusal = simcrop("embed", words, chest_file, "--out", tmp_path / "out").refusal
        assert f"{words}: there is no such model, or it is private" in refusal
        assert "HF_TOKEN" in refusal
    hub.put("lab/model", exported)
    refusal = simcrop("embed", "hf://lab/model@v9", chest_file, "--out", tmp_path / "out").refusal
    assert "there is no revision 'v9'" in refusal
    hub.answers["/api/models/lab/model"] = 403
    assert (
        "not allowed for you (403)"
        in simcrop("embed", "hf://lab/model", chest_file, "--out", tmp_path / "out").refusal
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("hub")
def test_hub_that_cannot_be_reached_is_one_line(
    simcrop: Callable, chest_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setattr("time.sleep", lambda _: None)
    refusal = simcrop("embed", "hf://lab/model", chest_file, "--out", tmp_path / "out").refusal
    assert "hf://lab/model: fetching it failed, the hub cannot be reached" in refusal
    assert "simcrop bundle" in refusal


def test_missing_extra_is_one_line(
    simcrop: Callable, chest_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    refusal = simcrop("embed", "hf://lab/other", chest_file, "--out", tmp_path / "out").refusal
    assert refusal == "hf:// ids need huggingface_hub: pip install simcrop[hub]"


def test_folder_opens_no_connection(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    package.load(run)


HARMFUL = {
    "pytorch_model.bin": "may be a pickle",
    "weights/last.ckpt": "may be a pickle",
    "modeling.py": "is or may hold code",
    "../out.json": "leads out of it",
}


@pytest.mark.parametrize("name", HARMFUL)
def test_repository_with_code_or_pickles_is_refused_whole(hub, exported: Path, name: str) -> None:
    hub.put("lab/model", exported, **{name: b"x"})
    with pytest.raises(SimcropError, match=HARMFUL[name]):
        package.load("hf://lab/model")
    assert not [asked for asked in hub.asked if "/resolve/" in asked]


@pytest.mark.parametrize(
    "change",
    [
        {"auto_map": {"AutoModel": "m.M"}},
        {"provenance": {"code": "train.py"}},
        {"a": [{"trust_remote_code": True}]},
    ],
)
def test_config_that_names_code_is_refused(hub, exported: Path, change: dict[str, object]) -> None:
    of = hub.put("lab/model", exported)
    of.files["config.json"] = json.dumps(json.loads(of.files["config.json"]) | change).encode()
    with pytest.raises(SimcropError, match="names code to be run"):
        package.load("hf://lab/model")
    assert not [asked for asked in hub.asked if asked.endswith(".safetensors")]


def test_config_that_is_nested_without_end_is_one_line(hub, exported: Path) -> None:
    hub.put("lab/model", exported, **{"deep.json": b"[" * 100_000})
    with pytest.raises(SimcropError, match=r"hf://lab/model: deep\.json is no JSON"):
        package.load("hf://lab/model")


def test_bundle_on_the_hub_is_whole_without_what_nobody_reads(hub, exported: Path, tmp_path: Path) -> None:
    from simcrop.tasks.sharing.bundle import bundle

    given = Path(shutil.copytree(exported, tmp_path / "given"))
    for name in ("encoder.onnx", "encoder.onnx.data", "encoder.json"):
        (given / name).write_text("{}")
    bundle(str(given), tmp_path / "bundle")
    listed = json.loads((tmp_path / "bundle/sha256.json").read_text())["sha256"]
    assert {"encoder.onnx", "encoder.onnx.data", "encoder.json"} <= set(listed)
    of = hub.put("lab/model", tmp_path / "bundle")
    assert package.load("hf://lab/model").text is not None
    del of.files["encoder.json"]
    with pytest.raises(SimcropError, match=r"it lacks encoder\.json"):
        package.load("hf://lab/model@main")


def test_repository_without_a_model_is_one_line(hub, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    hub.put("lab/model", tmp_path / "empty", **{"README.md": b"soon"})
    with pytest.raises(SimcropError, match=r"hf://lab/model holds no simcrop model: it has no config.json"):
        package.load("hf://lab/model")
