"""Settings of trained heads: those of the paper, the nearest row, and files of one's own."""

from pathlib import Path

import pytest

from simcrop.errors import SimcropError
from simcrop.evaluation.heads.settings import LabelKind, read_table, settings_for
from simcrop.evaluation.shipped import shipped_names

# Data set, share, batch, rate, steps, warm-up, patience: as the public code has them.
PAPER = [
    ("ct-rate", 0.01, 32, 1.5e-3, 1000, 150, 10),
    ("ct-rate", 0.1, 64, 3e-3, 10000, 1500, 10),
    ("ct-rate", 1.0, 64, 3e-3, 10000, 1500, 10),
    ("rad-chestct", 0.1, 32, 1.5e-3, 2000, 80, 10),
    ("rad-chestct", 1.0, 128, 3e-3, 2000, 200, 10),
    ("cc-ccii", 0.01, 29, 1.5e-3, 200, 20, 20),
    ("cc-ccii", 0.1, 32, 1.5e-3, 2000, 150, 20),
    ("cc-ccii", 1.0, 128, 1.5e-3, 2000, 200, 20),
    ("luna16", 0.1, 31, 1.5e-3, 200, 20, 200),
    ("luna16", 1.0, 32, 1.5e-3, 2000, 200, 20),
]


@pytest.mark.parametrize("row", PAPER, ids=lambda row: f"{row[0]}-{row[1]}")
def test_shipped_rows_are_the_papers(row: tuple[str, float, int, float, int, int, int]) -> None:
    layout, share, *expected = row
    chosen = settings_for(None, layout, "several", share, 7)
    found = chosen.settings
    assert [found.batch, found.lr, found.steps, found.warmup, found.patience] == expected
    assert (found.weight_decay, found.clip_grad, found.init_std) == (1e-5, 1.0, 2e-5)
    assert chosen.own
    assert found.warmup < found.steps
    assert sum(len(read_table(name).rows) for name in shipped_names("simcrop.probes")) == len(PAPER)


@pytest.mark.parametrize(
    ("layout", "labels", "share", "scans", "words"),
    [
        (
            "rad-chestct",
            "several",
            0.01,
            20,
            "rad-chestct has no row for 1 %; the nearest is rad-chestct for 10 %",
        ),
        ("ct-rate", "several", 0.5, 9999, "ct-rate has no row for 50 %; the nearest is ct-rate for 100 %"),
        ("folder", "several", 1.0, 2000, "nearest by number of scans is rad-chestct for 100 %"),
        ("folder", "several", 0.1, 500, "nearest by number of scans is ct-rate for 1 %"),
        ("folder", "exclusive", 1.0, 250, "nearest by number of scans is cc-ccii for 10 %"),
        ("", "one", 1.0, 90000, "nearest by number of scans is luna16 for 100 %"),
    ],
)
def test_nearest_row_is_taken_and_said(
    layout: str, labels: LabelKind, share: float, scans: int, words: str
) -> None:
    chosen = settings_for(None, layout, labels, share, scans)
    assert not chosen.own
    assert chosen.words.endswith(words)


ROW = "batch: 16\nlr: 1e-3\nsteps: 50\nwarmup: 5\npatience: 3\n"


def test_file_of_ones_own_serves_every_share_or_has_a_row_for_each(tmp_path: Path) -> None:
    one, table = tmp_path / "one.yaml", tmp_path / "table.yaml"
    one.write_text(ROW)
    table.write_text("rows:\n  - {share: 0.2, batch: 4, lr: 1.0e-3, steps: 9, warmup: 0, patience: 1}\n")
    chosen = settings_for(str(one), "ct-rate", "several", 0.1, 5)
    assert (chosen.settings.steps, chosen.settings.lr, chosen.own) == (50, 1e-3, True)
    assert settings_for(str(table), "ct-rate", "several", 0.2, 5).own
    assert "nearest" in settings_for(str(table), "ct-rate", "several", 1.0, 5).words
    assert settings_for("luna16", "ct-rate", "several", 1.0, 5).words == "luna16 for 100 %"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{ROW}warm_up: 3\n", "unknown setting warm_up, did you mean warmup?"),
        (
            "rows:\n  - {batch: 4, lr: 1, steps: 9, warmup: 1, patience: 1, epochs: 3}\n",
            "unknown setting rows.0.epochs, did you mean steps?",
        ),
        (f"{ROW}whose: mine\n", "unknown setting whose"),
        ("{Batch: 8}", "unknown setting Batch, did you mean batch?"),
        ("row: []\nrows: []\n", "unknown setting row, did you mean rows?"),
        (ROW.replace("warmup: 5", "warmup: 50"), "a warm-up of 50 steps leaves none of 50"),
        (ROW.replace("batch: 16", "batch: 0"), "batch = 0: input should be greater than or equal to 1"),
        (ROW.replace("patience: 3\n", ""), "patience is not there"),
        (ROW.replace("1e-3", "fast"), "lr = 'fast': input should be a valid number"),
        (ROW.replace("1e-3", ".nan"), "lr = nan: input should be"),
        ("rows: []\n", "rows = []: "),
        ("", "must hold `name: value` lines"),
        ("[1, 2]", "must hold `name: value` lines"),
        ("a: [", "it is not YAML"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(SimcropError) as refused:
        read_table(str(file))
    assert sentence in refused.value.sentence
    assert len(refused.value.sentence.splitlines()) == 1


def test_unknown_table_proposes_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="did you mean rad-chestct"):
        read_table("rad-chest")
    with pytest.raises(SimcropError, match="Neither a file nor one of"):
        read_table(str(tmp_path))
