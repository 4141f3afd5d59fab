"""The command line itself: help, usage errors, exit codes, --debug; a few times as a real process."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

import simcrop as package
from simcrop.cli.loading import GONE, WORD, loading

BIN = Path(sys.executable).with_name("simcrop")


def process(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN), *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )


def test_help_comes_at_once_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom simcrop.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'SimpleITK', 'numpy', 'polars', 'nibabel'}\n"
        "sys.exit(f'imported {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)\n"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ground" in done.stdout
    assert time.perf_counter() - started < 3  # 0.1 s on a quiet machine


def test_no_words_at_all_are_a_request_for_help(simcrop: Callable) -> None:
    ran = simcrop()
    assert (ran.code, ran.err) == (0, "")
    assert "Commands:" in ran.out
    assert len(ran.out.splitlines()) > 10


def test_version(simcrop: Callable) -> None:
    assert simcrop("--version").out == f"simcrop {package.__version__}\n"


USAGE = {
    "nonsense": "No such command 'nonsense'; see simcrop --help",
    "recipe": "Missing command",
    "ground": "Missing argument",
    "ground m ct": "Missing option '--out'",
    "ground m ct --out": "--out",
    "ground m ct --out o --top-k 0 --sentence x": "--top-k",
    "ground m ct --out o --sentence x --threshold 7": "--threshold",
    "ground m ct --out o --colour red": "No such option",
    "ground m ct --out o --sentence a nodule": "put a sentence in quotes",
    "ingest raw --out o --spacing 1.5 1.5 3": "commas, 1.5,1.5,3; see simcrop ingest --help",
    "reproduce table4 --out o": "cannot reproduce 'table4': there are table1, table2, table3, fig2",
    "reproduce natural --out o --size tiny": "--size is not for natural",
    "reproduce ceiling --out o --seeds 2": "--seeds is not for ceiling",
    "reproduce ceiling --out o --size huge": "--size huge: expected tiny or small",
    "reproduce scaling --out o --real-scans o": "--real-scans is not for scaling",
    "reproduce extension --out o --budget 2": "--budget is not for extension",
    "reproduce natural --out o --data d": "--data is not for natural",
    "reproduce table3 --out o --size huge": "--size huge: expected paper or tiny",
    "reproduce table3 --out o --data d --budget 2": "--budget is for phantoms",
    "reproduce table3 --out o --data d": "cannot read d",
    "phantom": "Missing argument",
    "phantom o --size huge": "huge",
    "phantom o --patients 0": "at least 1 patient",
    "phantom o --patients many": "--patients",
    "phantom o --seed -1": "seed",
    "phantom o --layout amos": "amos",
    "phantom o --release v9": "v9",
    "ingest . --out o --layout ctrate": "did you mean ct-rate?",
    "ingest . --out o --spacing 1,1": "--spacing 1,1",
    "ingest . --out o --spacing 1,0,1": "must be positive",
    "ingest . --out o --spacing nan,1,1": "must be positive",
    "ingest . --out o --workers 0": "--workers",
}


@pytest.mark.parametrize("words", USAGE)
def test_wrong_usage_is_one_line(
    simcrop: Callable, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert USAGE[words] in simcrop(*words.split()).refusal
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_trace_and_keeps_the_exit_code(simcrop: Callable, line, tmp_path: Path) -> None:
    words = ("embed", line.run, tmp_path / "no.nii", "--out", tmp_path / "out")
    ran = simcrop(*words, "--debug")
    assert ran.code == 2
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1] == f"error: {tmp_path}/no.nii: no such file or folder"
    assert simcrop(*words).err == f"error: {tmp_path}/no.nii: no such file or folder\n"


@pytest.mark.parametrize(
    ("verb", "target", "message"),
    [
        ("phantom", "simcrop.tasks.cohorts.phantom.write_cohort", "the same command continues"),
        ("ingest", "simcrop.tasks.cohorts.ingest.ingest_scans", "the same command continues"),
        ("probe", "simcrop.tasks.probing.probe.both_sides", "the same command continues"),
        ("zero-shot", "simcrop.tasks.probing.zero_shot.tested", "the same command continues"),
        (
            "ground",
            "simcrop.tasks.grounding.ground.read_volume",
            "nothing was stored of one scan; of many, the same command with --resume continues",
        ),
    ],
)
def test_interruption_is_130_and_says_how_to_go_on(
    simcrop: Callable,
    line,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    target: str,
    message: str,
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    words = {
        "phantom": (tmp_path / "out",),
        "ingest": (line.raw, "--layout", "ct-rate", "--out", tmp_path / "out"),
        "probe": (line.run, line.cohort, "--out", tmp_path / "out"),
        "zero-shot": (line.run, line.cohort, "--protocol", "ct-clip", "--out", tmp_path / "out"),
        "ground": (line.run, line.scan, "--sentence", "A nodule.", "--out", tmp_path / "out"),
    }[verb]
    monkeypatch.setattr(target, interrupt)
    ran = simcrop(verb, *words)
    assert (ran.code, ran.err) == (130, f"error: interrupted; {message}\n")
    assert not (tmp_path / "out").exists()


def test_recipes_are_listed_and_shown_as_yaml(simcrop: Callable) -> None:
    import yaml

    names = simcrop("recipe", "list").out.split()
    assert {"simcrop-paper", "simcrop-tiny"} <= set(names)
    assert yaml.safe_load(simcrop("recipe", "show", "simcrop-tiny").out)["method"] == "simcrop"
    full = yaml.safe_load(simcrop("recipe", "show", "simcrop-paper", "--full").out)
    assert full["optim"]["epochs"] == 140


def test_real_process_grounds_and_keeps_the_sentence_to_itself(line, tmp_path: Path) -> None:
    done = process(
        "ground", line.run, line.scan, "--sentence", "A quokkalike nodule.", "--out", tmp_path / "o"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"open {tmp_path / 'o' / 'report.html'}\n"
    command = json.loads((tmp_path / "o/run.json").read_text())["command"]
    assert command[1:3] == ["ground", str(line.run)]
    assert "quokkalike" not in " ".join(command)


def test_real_process_refuses_in_one_line(line, tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(b"\x1f\x8b nonsense")
    done = process("embed", line.run, tmp_path / "ct.nii.gz", "--out", tmp_path / "o")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path}/ct.nii.gz: ")
    assert len(done.stderr.splitlines()) == 1


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_word_stands_on_a_terminal_while_libraries_load(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, during, after in ((Terminal(), WORD, WORD + GONE), (StringIO(), "", "")):
        monkeypatch.setattr("sys.stderr", stream)
        with loading():
            assert stream.getvalue() == during
        assert stream.getvalue() == after
