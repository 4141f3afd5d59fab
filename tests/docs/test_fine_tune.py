"""The Python of the page on fine-tuning runs as one script, and what it trains learns.

No axes or units. `docs/fine-tune.md` is the input.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import simcrop

PAGE = Path(__file__).parents[2] / "docs" / "fine-tune.md"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def lines_of(code: str) -> int:
    """Without blank ones."""
    return sum(bool(line.strip()) for line in code.splitlines())


def test_a_head_is_trained_in_30_lines_and_its_loss_falls(line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside `raw`, `cohort` and `run`, which the page's commands make, too."""
    monkeypatch.chdir(line.run.parent)
    training, *others = FENCE.findall(PAGE.read_text(encoding="utf-8"))
    assert lines_of(training) <= 30
    names: dict[str, Any] = {"__name__": "page"}
    try:
        exec(compile(training, PAGE, "exec"), names)
        kept = torch.load("tuned.pt", weights_only=True)
    finally:
        Path("tuned.pt").unlink(missing_ok=True)  # nobody may change the folder
    assert np.mean(names["losses"][-3:]) < 0.7 * np.mean(names["losses"][:3])
    before = simcrop.encoder("run").state_dict()
    assert kept["encoder"].keys() == before.keys()
    assert not torch.equal(kept["encoder"]["vision.patch_embed.weight"], before["vision.patch_embed.weight"])

    assert len(others) == 2
    for code in others:
        exec(compile(code, PAGE, "exec"), names)
    model, found, tokens = (names[name] for name in ("model", "found", "tokens"))
    assert len(found) == 14
    assert found.refused == ()
    np.testing.assert_allclose(tokens.features.mean(0), found.vectors[0], atol=1e-5)
    assert names["picture"].shape == (*model.grid.shape, 48)
    assert len(names["lying_in_it"]) == tokens.inside.sum() > 0


def test_the_page_says_how_weights_go_back(line: Any) -> None:
    assert 'load("run").load_state_dict(encoder.state_dict(), strict=False)' in PAGE.read_text()
    model, encoder = simcrop.load(line.run, "cpu"), simcrop.encoder(line.run)
    with torch.no_grad():
        encoder.vision.patch_embed.weight += 1  # pyright: ignore
    missing, unexpected = model.load_state_dict(encoder.state_dict(), strict=False)
    assert unexpected == []
    assert not [name for name in missing if name.startswith("vision.")]
    torch.testing.assert_close(model.vision.patch_embed.weight, encoder.vision.patch_embed.weight)
