"""What the tests of the benchmarks share: their modules, and a clock that only planted work moves."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
import torch
from script_folder import scripts_in

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script by name."""
    with scripts_in(SCRIPTS, monkeypatch) as found:
        yield found


@pytest.fixture
def report_of(
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Callable[..., dict[str, Any]]]:
    """What a script prints for these words and writes as well. It runs in this process, which has imported all."""

    def run(name: str, *words: str) -> dict[str, Any]:
        written = tmp_path / "report.json"
        monkeypatch.setattr("sys.argv", [f"{name}.py", *words, "--json", str(written)])
        capsys.readouterr()
        script(name).main()
        report = json.loads(capsys.readouterr().out)
        assert report == json.loads(written.read_text())
        return report

    threads = torch.get_num_threads()
    with patch.dict(os.environ):
        yield run
    torch.set_num_threads(threads)


@dataclass
class Planted:
    """`seconds` that have passed, all of them by work that was planted; `done`: whose turn it was."""

    seconds: float = 0.0
    done: list[str] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    def work(self, name: str, *costs: float) -> Callable[..., object]:
        """Work that takes these seconds, call after call; the last ones again and again."""
        left = list(costs)

        def call(*_: object) -> float:
            self.done.append(name)
            self.seconds += left.pop(0) if len(left) > 1 else left[0]
            return self.seconds

        return call


@pytest.fixture
def planted() -> Planted:
    return Planted()
