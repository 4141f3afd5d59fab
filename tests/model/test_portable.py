"""Models that may leave: no place of a file in what describes them, and the answers of those they come from."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_models import SECRET

from simcrop.data.readers import read_volume
from simcrop.files.digest import digest_of_files
from simcrop.model import load
from simcrop.model.folder import CONFIG, WEIGHTS
from simcrop.model.portable import NOT_RECORDED, scrubbed, without_places, write_portable

ASK = ["a nodule in the left lung.", "no effusion."]


def test_places_are_gone_and_everything_else_is_there(run: Path, tmp_path: Path) -> None:
    write_portable(run / "model", tmp_path)
    before, after = (json.loads((folder / CONFIG).read_text()) for folder in (run / "model", tmp_path))
    assert SECRET in json.dumps(before)
    assert SECRET not in json.dumps(after)
    assert after["architecture"]["text"]["model"] == NOT_RECORDED
    assert after["provenance"]["start"]["source"] == f"init.model = {NOT_RECORDED}"
    assert after["provenance"]["exported_from"] == digest_of_files(
        run / "model" / WEIGHTS, run / "model" / CONFIG
    )
    after["architecture"]["text"]["model"] = before["architecture"]["text"]["model"]
    assert after["architecture"] == before["architecture"]
    assert (tmp_path / WEIGHTS).read_bytes() == (run / "model" / WEIGHTS).read_bytes()


def test_answers_are_those_of_the_run(run: Path, chest_file: Path, tmp_path: Path) -> None:
    write_portable(run / "model", tmp_path)
    scan, here, there = read_volume(chest_file), load(run), load(tmp_path)
    np.testing.assert_array_equal(there.embed(scan), here.embed(scan))
    for one, other in zip(there.ground(scan, ASK), here.ground(scan, ASK), strict=True):
        np.testing.assert_array_equal(one.patches, other.patches)


def test_checkpoint_leaves_without_what_only_training_needs(run: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from simcrop.engine.checkpoint import STATE

    for name in ("model.safetensors", "config.json", "tokenizer", "text"):
        place = tmp_path / ("" if name == "text" else "step") / name
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(run / "model" / name)
    (tmp_path / "step" / STATE).write_text('{"step": 1}')
    (tmp_path / "step" / WEIGHTS).unlink()
    state = load_file(run / "model" / WEIGHTS)
    save_file({**state, "painter.weight": torch.zeros(3)}, tmp_path / "step" / WEIGHTS)
    (tmp_path / "out").mkdir()
    write_portable(tmp_path / "step", tmp_path / "out")
    assert set(load_file(tmp_path / "out" / WEIGHTS)) == set(state)


def test_description_without_places_stays_as_it_is_and_so_does_the_digest(
    small_run: Callable[..., Path], tmp_path: Path
) -> None:
    small_run(tmp_path / "run", embedded=True, provenance={"start": None})
    (tmp_path / "out").mkdir()
    write_portable(tmp_path / "run" / "model", tmp_path / "out")
    names = (WEIGHTS, CONFIG)
    here, there = (
        digest_of_files(*(f / n for n in names)) for f in (tmp_path / "run/model", tmp_path / "out")
    )
    assert here == there


PLACES = [
    "/data/x/y",
    "~/x",
    "../x",
    "./x",
    "see /data/x",
    "init.mae = /data/x.safetensors",
    "C:\\x\\y",
    "file:/x",
]
NO_PLACES = [
    "CC BY-NC-SA 4.0",
    "mean/max",
    "Lung nodule / mass",
    "hf://lab/model",
    "https://a.org/b",
    "minilm",
    "a/b",
]


@pytest.mark.parametrize("words", PLACES)
def test_whatever_looks_like_a_place_is_found(words: str) -> None:
    assert NOT_RECORDED in scrubbed({"a": [words]}, ())["a"][0]


@pytest.mark.parametrize("words", NO_PLACES)
def test_words_that_are_no_place_stay(words: str) -> None:
    assert scrubbed([words], ()) == [words]


def test_names_of_labels_classes_and_splits_stay_whatever_they_look_like() -> None:
    named = {"head": {"labels": ["Nodule /mass"]}, "classes": ["/x"], "data": {"split": "~/train"}}
    assert scrubbed(named, ()) == named


@pytest.mark.parametrize(
    ("place", "words", "left"),
    [
        ("ward 7.safetensors", "from ward 7.safetensors, as ward 7.safetensors2", True),
        ("ward-7/bert", "ward-7/bert/config and (ward-7/bert).", False),
        ("ward-7/bert", "forward-7/bert", True),
    ],
)
def test_a_place_is_taken_out_as_a_whole_and_not_of_other_words(place: str, words: str, left: bool) -> None:
    assert (place in scrubbed(words, (place,))) == left


@pytest.mark.parametrize("place", [".", "..", "7", "bert"])
def test_a_place_that_tells_nothing_changes_nothing_but_its_setting(place: str) -> None:
    told = {"data_licence": "CC BY 4.0 ... bert 7", "layout": "a.b"}
    found = without_places({"architecture": {"text": {"model": place}}, "provenance": told})
    assert found == {"architecture": {"text": {"model": NOT_RECORDED}}, "provenance": told}


def test_settings_that_name_a_place_are_not_told_however_it_is_written() -> None:
    architecture = {
        "text": {"model": "bert"},
        "mlm": {"replace": "bert"},  # which is said of something else
        "init": {"mae": "ward 7.safetensors", "model": None},
        "organs": {"descriptions": "d.json"},
        "claim": {"values": {"init.mae": "ward 7.safetensors"}},
        "align": {"prompts": {"protocol": "ward 7/words.yaml"}, "k": 48},
    }
    found = without_places(
        {"architecture": architecture, "provenance": {"start": {"parent": {"source": "x"}}}}
    )
    assert "ward 7" not in json.dumps(found)
    assert found["architecture"]["organs"]["descriptions"] == NOT_RECORDED
    assert found["architecture"]["text"]["model"] == NOT_RECORDED
    assert found["architecture"]["mlm"]["replace"] == "bert"
    assert found["architecture"]["init"]["model"] is None
    assert found["provenance"]["start"]["parent"]["source"] == NOT_RECORDED
    assert found["architecture"]["align"] == {"prompts": {"protocol": NOT_RECORDED}, "k": 48}
    init, align = {"model": "hf://lab/model"}, {"prompts": {"protocol": "radfinder-t3"}}
    known = {"architecture": {"init": init, "align": align}, "provenance": None}
    assert without_places(known)["architecture"] == known["architecture"]
