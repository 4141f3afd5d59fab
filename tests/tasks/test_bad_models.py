"""A model, cohort, recipe or setting that cannot be used: one line that names it, exit 2, nothing left behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from simcrop.errors import SimcropError
from simcrop.model import load

ASK = ("--sentence", "A nodule.")


@pytest.fixture
def model(line, tmp_path: Path) -> Path:
    """A copy of the trained model that a test may spoil."""
    return Path(shutil.copytree(line.run / "model", tmp_path / "model"))


def spoil_config(model: Path, **change: object) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **change}))


def spoil_numbers(model: Path) -> None:
    state = load_file(model / "model.safetensors")
    next(tensor for name, tensor in state.items() if name.startswith("vision."))[:] = float("nan")
    save_file(state, model / "model.safetensors")


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda m: (m / "model.safetensors").unlink(), "holds no model"),
    "no config": (lambda m: (m / "config.json").unlink(), "holds no model"),
    "no tokenizer": (lambda m: shutil.rmtree(m / "tokenizer"), "tokenizer"),
    "half the weights": (
        lambda m: (m / "model.safetensors").write_bytes((m / "model.safetensors").read_bytes()[:50_000]),
        "model.safetensors",
    ),
    "weights of no kind": (lambda m: (m / "model.safetensors").write_bytes(b"pickle"), "model.safetensors"),
    "weights that are no numbers": (spoil_numbers, "hold numbers that are none"),
    "config is not JSON": (lambda m: (m / "config.json").write_text("{"), "config.json"),
    "config of something else": (
        lambda m: (m / "config.json").write_text('{"model_type": "bert"}'),
        "config.json",
    ),
    "newer format": (lambda m: spoil_config(m, format=99), "format 99"),
    "newer format that says other things": (
        lambda m: (m / "config.json").write_text('{"format": 99}'),
        "format 99, this simcrop reads 2: update simcrop",
    ),
    "other widths": (lambda m: spoil_config(m, architecture={"vision": {"depth": 9}}), ""),
    "unknown setting": (lambda m: spoil_config(m, architecture={"colour": 1}), "unknown setting colour"),
    "exchanged vocabulary": (
        lambda m: (m / "tokenizer/vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"),
        "tokenizer",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_model_is_one_line(simcrop: Callable, line, model: Path, how: str, tmp_path: Path) -> None:
    spoil, words = SPOILT[how]
    spoil(model)
    refusal = simcrop("ground", model, line.scan, *ASK, "--out", tmp_path / "out").refusal
    assert str(model) in refusal
    assert words in refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (
            '{"format": 99}',
            "newer-format",
            "a checkpoint of format 99, this simcrop reads up to 1: update simcrop",
        ),
        ("[]", "bad-checkpoint", "the checkpoint is damaged"),
    ],
)
def test_checkpoint_that_cannot_be_resumed_from_is_no_model_either(
    line, tmp_path: Path, state: str, reason: str, words: str
) -> None:
    """A run without a model yet: its newest checkpoint stands for it."""
    newest = shutil.copytree(
        sorted((line.run / "checkpoints").glob("step-*"))[-1], tmp_path / "checkpoints/step-00000009"
    )
    (newest / "state.json").write_text(state)
    for path in (tmp_path, newest):
        with pytest.raises(SimcropError) as refused:
            load(path)
        assert refused.value.reason == reason
        assert refused.value.sentence.startswith(f"{newest}: {words}")


@pytest.mark.parametrize("verb", ["ground", "embed"])
def test_folder_without_a_model_is_one_line(simcrop: Callable, line, verb: str, tmp_path: Path) -> None:
    ask = ASK if verb == "ground" else ()
    for wrong in (tmp_path / "nowhere", line.cohort, line.scan):
        refusal = simcrop(verb, wrong, line.scan, *ask, "--out", tmp_path / "out").refusal
        assert str(wrong) in refusal
    assert not (tmp_path / "out").exists()


def test_run_that_has_no_checkpoint_yet_holds_no_model(simcrop: Callable, line, tmp_path: Path) -> None:
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    shutil.copy(line.run / "run.json", tmp_path / "run/run.json")
    refusal = simcrop("embed", tmp_path / "run", line.scan, "--out", tmp_path / "out").refusal
    assert "holds no model" in refusal


def test_folder_of_many_scans_is_sent_to_ingest(simcrop: Callable, line, tmp_path: Path) -> None:
    refusal = simcrop("embed", line.run, line.scan.parent, "--out", tmp_path / "out").refusal
    assert "simcrop ingest" in refusal


def test_cohort_that_is_none_is_one_line(simcrop: Callable, line, tmp_path: Path) -> None:
    for wrong in (tmp_path / "nowhere", line.run, line.scan):
        refusal = simcrop("pretrain", wrong, "--out", tmp_path / "out").refusal
        assert str(wrong) in refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["pretrain", "embed"])
def test_unfinished_cohort_says_how_to_finish_it(simcrop: Callable, line, verb: str, tmp_path: Path) -> None:
    shutil.copytree(line.cohort, tmp_path / "c")
    (tmp_path / "c/cohort.json").unlink()
    words = [tmp_path / "c"] if verb == "pretrain" else [line.run, tmp_path / "c"]
    refusal = simcrop(verb, *words, "--out", tmp_path / "out").refusal
    assert "run the same ingest again" in refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("file", ["cohort.json", "studies.parquet", "ledger.parquet"])
def test_damaged_cohort_table_is_named(simcrop: Callable, line, file: str, tmp_path: Path) -> None:
    shutil.copytree(line.cohort, tmp_path / "c")
    (tmp_path / "c" / file).write_bytes(b"PAR1 and no more")
    refusal = simcrop("pretrain", tmp_path / "c", "--out", tmp_path / "out").refusal
    assert str(tmp_path / "c" / file) in refusal


def pretrain(simcrop: Callable, line, cohort: Path, out: Path, *more: object):
    settings = [word for setting in line.SETTINGS for word in ("--set", setting)]
    return simcrop("pretrain", cohort, "--out", out, "--recipe", "simcrop-tiny", *settings, *more)


def test_split_without_a_study_names_those_there_are(simcrop: Callable, line, tmp_path: Path) -> None:
    refusal = pretrain(simcrop, line, line.cohort, tmp_path / "out", "--set", "data.split=test").refusal
    assert "'test'" in refusal
    assert "it has train, valid" in refusal
    assert not (tmp_path / "out").exists()


def test_damaged_volume_stops_pretraining_with_its_study_and_can_be_mended(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.data.samples.reading.PAUSES_S", ())
    shutil.copytree(line.cohort, tmp_path / "c")
    volumes = sorted((tmp_path / "c/volumes").glob("train_*.b2nd"))
    for volume in volumes:
        volume.write_bytes(volume.read_bytes()[:900])
    ran = pretrain(simcrop, line, tmp_path / "c", tmp_path / "run")
    assert "study train_" in ran.refusal
    assert not (tmp_path / "run/model").exists()

    for volume in volumes:
        shutil.copy(line.cohort / "volumes" / volume.name, volume)
    ran = pretrain(simcrop, line, tmp_path / "c", tmp_path / "run", "--resume")
    assert ran.code == 0, ran.err
    assert (tmp_path / "run/model/model.safetensors").exists()


def test_damaged_volume_is_refused_by_embedding_and_can_be_mended(
    simcrop: Callable, line, tmp_path: Path
) -> None:
    shutil.copytree(line.cohort, tmp_path / "c")
    last = sorted((tmp_path / "c/volumes").iterdir())[-1]
    last.write_bytes(b"")
    ran = simcrop("embed", line.run, tmp_path / "c", "--out", tmp_path / "out")
    assert ran.code == 1
    (refused,) = json.loads((tmp_path / "out/metrics.json").read_text())["refused"]
    assert last.stem == refused["id"]
    assert refused["reason"] == "corrupt-volume"
    left = pl.read_parquet(tmp_path / "out/embeddings.parquet")["id"]
    assert len(left) > 1
    assert last.stem not in left

    shutil.copy(line.cohort / "volumes" / last.name, last)
    ran = simcrop("embed", line.run, tmp_path / "c", "--out", tmp_path / "out", "--overwrite")
    assert ran.code == 0, ran.err
    assert last.stem in pl.read_parquet(tmp_path / "out/embeddings.parquet")["id"]


BAD_SETTINGS = {
    "optim.stepz=3": "optim.steps",
    "optim.lr=fast": "optim.lr",
    "optim.batch=0": "optim.batch",
    "optim": "name=value",
    "seed.x=1": "seed",
    "text.model=/no/such/bert": "/no/such/bert",
    "input.shape=[65,64,32]": "65",
    "init.mae=/no/such/mae.safetensors": "/no/such/mae.safetensors",
    "init.model=/no/such/run": "/no/such/run is not a model or run folder",
    "engine.micro_batch=1000": "micro-batches of 1000",
}


@pytest.mark.parametrize("setting", BAD_SETTINGS)
def test_bad_setting_is_named_and_no_run_begins(
    simcrop: Callable, line, setting: str, tmp_path: Path
) -> None:
    refusal = pretrain(simcrop, line, line.cohort, tmp_path / "out", "--set", setting).refusal
    assert BAD_SETTINGS[setting] in refusal
    assert not (tmp_path / "out").exists()


BAD_RECIPES = {
    "optim: {lr: [": "YAML",
    "- 1\n- 2\n": "name: value",
    "optim: {leer: 3}\n": "optim.lr",
    "just words": "name: value",
    "method: moe\n": "method",
}


@pytest.mark.parametrize("text", BAD_RECIPES)
def test_bad_recipe_file_is_named(simcrop: Callable, line, text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    words = ("pretrain", line.cohort, "--recipe", tmp_path / "mine.yaml", "--out", tmp_path / "out")
    refusal = simcrop(*words).refusal
    assert str(tmp_path / "mine.yaml") in refusal
    assert BAD_RECIPES[text] in refusal
    assert not (tmp_path / "out").exists()


def test_recipe_that_is_not_there_is_named(simcrop: Callable, line, tmp_path: Path) -> None:
    words = ("pretrain", line.cohort, "--out", tmp_path / "out", "--recipe")
    assert "no.yaml" in simcrop(*words, tmp_path / "no.yaml").refusal
    assert "did you mean simcrop-tiny?" in simcrop(*words, "simcrop-tinny").refusal
    assert "did you mean simcrop-tiny?" in simcrop("recipe", "show", "simcrop-tinny").refusal


@pytest.mark.parametrize("kind", ["cxr-bert", "mae-imagenet", "released", "nonsense"])
@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_bad_weights_are_one_line_and_leave_nothing(
    simcrop: Callable, kind: str, content: bytes | None, tmp_path: Path
) -> None:
    source = tmp_path / ("bert" if kind == "cxr-bert" else "mae.pth")
    if content is not None:
        file = source / "pytorch_model.bin" if kind == "cxr-bert" else source
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    refusal = simcrop("weights", "import", kind, source, "--out", tmp_path / "out").refusal
    assert ("nonsense" if kind == "nonsense" else str(source)) in refusal
    assert not (tmp_path / "out").exists()
