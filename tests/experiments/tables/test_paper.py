"""The paper's values: whole, in range, and of rows and columns that the tables have."""

import pytest

from simcrop.errors import SimcropError
from simcrop.evaluation.shipped import settings_of
from simcrop.experiments.tables.columns import COLUMNS
from simcrop.experiments.tables.paper import Published, read_published
from simcrop.experiments.tables.rows import ROWS


def test_every_value_has_its_cell_and_every_row_of_the_paper_its_values() -> None:
    published = read_published()
    for table, columns in published.columns.items():
        assert list(columns) == [column.key for column in COLUMNS[table]]
        assert {row.paper for row in ROWS[table] if row.paper} == set(published.rows[table])
    assert [len(rows) for rows in published.rows.values()] == [8, 8, 6]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (("table1", "random", "ct-rate-1"), 58.2),
        (("table1", "mrm", "rad-chestct-10"), 72.1),
        (("table1", "m3ae", "luna16-10"), 67.1),
        (("table1", "simcrop", "cc-ccii-100"), 91.3),
        (("table2", "m3ae", "luna16-dice-100"), 93.7),
        (("table2", "fvlm", "btcv-dice-100"), 80.0),
        (("table3", "wl", "rad-chestct-10"), 69.8),
        (("table3", "sa-wl", "luna16-dice-10"), 92.6),
        (("table1", "dino", "ct-rate-1"), None),
        (("fig2", "simcrop", "ct-rate-to-rad-chestct"), None),
    ],
    ids=str,
)
def test_spot_values(cell: tuple[str, str, str], value: float | None) -> None:
    assert read_published().value(*cell) == value


def test_full_method_is_the_same_in_every_table() -> None:
    published = read_published()
    for column in published.columns["table3"]:
        table = "table1" if column in published.columns["table1"] else "table2"
        assert published.value("table3", "simcrop", column) == published.value(table, "simcrop", column)


@pytest.mark.parametrize(
    ("rows", "words"),
    [({"a": [1.0]}, "row a: 1 values"), ({"a": [1.0, 101.0]}, "row a: no per cent")],
    ids=["short", "beyond"],
)
def test_list_with_a_hole_is_refused(rows: dict[str, list[float]], words: str) -> None:
    tree = {"whose": "x", "columns": {"t": ["b", "c"]}, "rows": {"t": rows}}
    with pytest.raises(SimcropError, match=words):
        settings_of(Published, "list", "x", tree)
