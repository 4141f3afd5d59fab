"""The page on phantoms names every layout, finding and field of the truth, and its Python runs beside a phantom.

No axes or units. `docs/phantom.md` is the input.
"""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from simcrop.phantom import TruthSentence, write_ct_rate
from simcrop.phantom.cohort import TREES
from simcrop.phantom.findings.finding import LABELS
from simcrop.phantom.grid import SIZES
from simcrop.phantom.real.chest import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "phantom.md"


def test_every_layout_finding_size_and_field_is_named() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for name in (*TREES, *SIZES, *(field.name for field in fields(TruthSentence))):
        assert f"`{name}`" in text
    whole, inserted = text.split("## In real scans")
    assert all(label in whole for label in LABELS)
    assert {label for label in LABELS if label in inserted} == set(KINDS)


def test_python_of_the_page_runs_beside_a_phantom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_ct_rate(Path("raw"), patients=2, seed=1, size="tiny")
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["shown"]
    assert names["mask"].is_file()


@pytest.mark.parametrize("name", re.findall(r"!\[[^]]*\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8")))
def test_its_pictures_are_there_and_not_heavy(name: str) -> None:
    assert (PAGE.parent / name).stat().st_size < 300_000
    with Image.open(PAGE.parent / name) as picture:
        assert picture.width > 1000
