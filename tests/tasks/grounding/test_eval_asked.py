"""Answers that are kept of each scan: a damaged file is none at all, and its scan is asked again. No axes or units."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from simcrop.evaluation.grounding.answers import ScanAnswers
from simcrop.tasks.grounding.eval_asked import read_answers, write_answers


def test_answers_of_which_any_byte_is_wrong_are_not_taken(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(1), tmp_path / "one.npz"
    answers = ScanAnswers(**{field.name: rng.normal(size=(2, 3)) for field in fields(ScanAnswers)})
    write_answers(path, answers)
    content = path.read_bytes()
    taken = read_answers(path)
    assert taken is not None
    assert all((value == vars(taken)[name]).all() for name, value in vars(answers).items())
    for at in range(0, len(content), 5):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        found = read_answers(path)
        assert found is None or all(
            (value == vars(found)[name]).all() for name, value in vars(answers).items()
        )
