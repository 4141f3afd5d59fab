"""Numbers leave the journal, names of studies do not."""

from typing import Any

from simcrop.logs.numbers import numbers_of, plain_settings


def test_numbers_of_a_row_are_named_and_those_of_a_group_after_it(rows: list[dict[str, Any]]) -> None:
    assert numbers_of(rows[0]) == {"epoch": 0.25, "loss": 8.0, "painted": 1.5, "lr": 1e-3}
    assert numbers_of(rows[2]).items() >= {"monitored/AUROC (all)": 0.75, "monitored/gap": -0.5}.items()


def test_of_studies_only_how_many_there_are_is_told(rows: list[dict[str, Any]]) -> None:
    assert numbers_of(rows[3])["unread"] == 2
    assert numbers_of(rows[4]) == {"epoch": 1.25, "lr": 1e-3, "skipped": 1}
    assert "train_" not in repr([numbers_of(row) for row in rows])


def test_a_group_that_is_not_known_is_kept_back_since_its_keys_may_be_studies() -> None:
    row = {
        "step": 1,
        "loss": 2,
        "worst": {"train_9_a_1": 0.5},
        "study": "train_9_a_1",
        "ids": ["x"],
        "on": True,
    }
    assert numbers_of(row) == {"loss": 2.0}


def test_settings_that_are_words_stay_here() -> None:
    settings = {
        "optim.lr": 0.1,
        "text.model": "/home/somebody/bert",
        "aug.flip_lr": True,
        "input.shape": (1, 2),
    }
    assert plain_settings(settings) == {"optim.lr": 0.1, "aug.flip_lr": True}
