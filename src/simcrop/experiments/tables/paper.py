"""The paper's own values, laid beside ours and never mixed with them. No axes; in per cent."""

from collections.abc import Mapping

from pydantic import model_validator

from simcrop.evaluation.shipped import read_settings
from simcrop.settings import Settings

PACKAGE, NAME = "simcrop.published", "simcrop"
NOT_READABLE = (
    "The paper's Fig. {0} is a picture without readable numbers, so that none of its values stand here."
)


class Published(Settings):
    """Tables by name: the keys of their `columns`, and of each of their `rows` a value for each column."""

    whose: str
    columns: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, Mapping[str, tuple[float, ...]]]

    @model_validator(mode="after")
    def is_complete(self) -> "Published":
        """Every row has a per cent for every column."""
        if set(self.columns) != set(self.rows):
            raise ValueError("columns and rows are not of the same tables")
        for table, rows in self.rows.items():
            for key, values in rows.items():
                if len(values) != len(self.columns[table]):
                    raise ValueError(f"{table}, row {key}: {len(values)} values")
                if not all(0 <= value <= 100 for value in values):
                    raise ValueError(f"{table}, row {key}: no per cent")
        return self

    def value(self, table: str, row: str, column: str) -> float | None:
        """None where the paper has none."""
        if row not in self.rows.get(table, {}) or column not in self.columns[table]:
            return None
        return self.rows[table][row][self.columns[table].index(column)]


def read_published() -> Published:
    return read_settings(Published, "list of published values", PACKAGE, NAME)
