"""`benchmarks/against.py` at toy size: this tree beside its own last commit."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).parents[2]


@pytest.mark.skipif(not (HOME / ".git").exists(), reason="NO REPOSITORY: there is no commit to compare with")
def test_two_trees_take_turns(
    script: Callable, report_of: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = script("against")
    spent: list[tuple[Path, str]] = []
    whole = benchmark.Tree.simcrop

    def counted(tree: Any, *words: str, **environment: str) -> dict[str, float]:
        """What the other tree starts is its own program, which knows a recipe that this one has not; to draw phantoms
        it would compile all kernels anew.
        """
        steps = float(words[words.index("--set") + 1].split("=")[1]) if words[0] == "pretrain" else 0.0
        if tree.files != HOME and words[0] == "phantom":
            recipes = tree.files / "src/simcrop/recipes"
            shutil.copy(recipes / "mae-tiny.yaml", recipes / "elsewhere.yaml")
            assert whole(tree, "recipe", "show", "elsewhere", **environment)["wall_s"] > 0
            with pytest.raises(SystemExit, match="elsewhere"):
                whole(benchmark.Tree(HOME, tree.home), "recipe", "show", "elsewhere", **environment)
        elif words[0] == "pretrain":
            (tree.home / "run").mkdir(parents=True)
            (tree.home / "run/journal.jsonl").write_text('{"loss": 2.5}\n')
        spent.append((tree.files, words[0]))
        return {"wall_s": steps * (2.0 if tree.files == HOME else 3.0), "cpu_s": steps}

    monkeypatch.setattr(benchmark.Tree, "simcrop", counted)
    small = ("--set", "optim.batch=4", "--set", "vision.dim=48", "--set", "vision.depth=1")
    words = ("--patients", "4", "--few", "1", "--many", "3", "--repeats", "2", "--recipe", "mae-tiny")
    report = report_of("against", "HEAD", *words, *small)
    assert [verb for _, verb in spent] == ["phantom", "ingest"] * 2 + ["pretrain"] * 8
    assert report["wall"] == {
        "ours_s": 2.0, "theirs_s": 3.0, "theirs_over_ours": 1.5, "least": 1.5, "largest": 1.5
    }  # fmt: skip
    assert report["cpu"]["theirs_over_ours"] == 1
    assert report["loss"] == {"ours": 2.5, "theirs": 2.5}
    listed = subprocess.run(["git", "-C", HOME, "worktree", "list"], capture_output=True, text=True).stdout
    (other,) = {str(files) for files, _ in spent} - {str(HOME)}
    assert other not in listed


def test_a_command_that_fails_ends_it_with_its_words(script: Callable, tmp_path: Path) -> None:
    benchmark = script("against")
    with pytest.raises(SystemExit, match=r"ended with 2:\nerror: "):
        benchmark.Tree(HOME, tmp_path).simcrop("ingest", "nowhere", "--out", str(tmp_path / "out"))
