"""`docs/scale.md` shows what `simcrop plan` says, to the letter. No axes or units."""

import shlex
from collections.abc import Callable
from math import ceil
from pathlib import Path

from simcrop.experiments.speeds import speeds

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
AGAIN = "the page is out of date: put the command's output there"


def test_every_plan_on_the_page_is_what_the_command_says(simcrop: Callable) -> None:
    shown = [block for block in PAGE.read_text().split("```\n") if block.startswith("$ simcrop plan")]
    assert [block.split()[6] for block in shown] == ["1xh200", "8xh200", "64xh200"]
    for number, block in enumerate(shown):
        command, said = block.split("\n", 1)
        ran = simcrop(*shlex.split(command)[2:])
        assert ran.code == 0
        # The first one to its end; where figures are from is said once.
        assert said == (ran.out if number == 0 else ran.out[: ran.out.index("\nLimit: ")]), AGAIN


def test_what_the_page_works_out_by_hand() -> None:
    known, text = speeds(), " ".join(PAGE.read_text().split())
    product = known.devices["h200"].product
    assert product is not None
    at_limit = product * 1e12 / 1165.18e9
    raw = known.codecs.by_name["raw"]
    assert f"a GPU would eat {at_limit:.0f} volumes/s" in text
    assert ceil(at_limit * raw.milliseconds / 1e3) == 6
    assert f"six processors and {at_limit * raw.mb / 1e3:.1f} GB/s" in text
    assert f"{known.training.share(48, 'compiled'):.0%}".replace("%", " %") in text
    assert f"{140 * 47_149 * 1346 / 1e6:,.0f} PFLOP in all" in text
