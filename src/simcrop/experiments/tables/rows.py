"""The rows of the tables: a method, or a method with one of its parts changed. No axes or units.

A row names its recipe per size; what it shares with the others comes from the row `simcrop` when it is built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from simcrop.tasks.training.counted import ORGAN_TEXTS

Size = Literal["paper", "tiny"]
SSL, VLP, OURS, BEYOND = "3D Med-SSL", "3D Med-VLP", "ours", "beyond the paper"
BASE = "simcrop"  # key of the row whose input, encoder and optimiser all others have
VISIBLE = {"paper": 686, "tiny": 128}  # patches that a masked volume shows: K is a share of them


@dataclass(frozen=True)
class Row:
    """`name` as printed. `recipe`: by size. `settings`: changes to it; `sized`: those that depend on the size. Not
    `trained`: the random start. `starts_from`: key of the row whose recipe has the first half of its steps, before its
    own. `weights`: the name under `weights:` of a finished model that is judged instead of one of ours. `paper`: key of
    the paper's values, empty where it has none. `switches`: SA, IL, WL of Table 3. `files`: settings that name a file
    of the data. `taught`: whether its encoder learns from all labels of what it is trained on.
    """

    key: str
    name: str
    group: str
    recipe: Mapping[str, str] = field(hash=False)
    settings: tuple[str, ...] = ()
    trained: bool = True
    starts_from: str | None = None
    weights: str | None = None
    paper: str = ""
    switches: tuple[bool, bool, bool] | None = None
    files: tuple[str, ...] = ()
    sized: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    taught: bool = False

    def changes(self, size: Size) -> tuple[str, ...]:
        """What it changes of its recipe."""
        return (*self.settings, *self.sized.get(size, ()))

    @property
    def follows(self) -> str | None:
        """The base row, of one that is the base with a part changed: what was chosen for training it holds for both."""
        return BASE if self.trained and self.key != BASE and self.recipe == recipes(BASE) else None


def recipes(paper: str, tiny: str | None = None) -> dict[str, str]:
    """`NAME-paper` and `NAME-tiny`, unless they are called otherwise."""
    return (
        {"paper": f"{paper}-paper", "tiny": f"{paper}-tiny"}
        if tiny is None
        else {"paper": paper, "tiny": tiny}
    )


def method(key: str, name: str, group: str) -> Row:
    """A method of the paper whose recipes bear its key."""
    return Row(key, name, group, recipes(key), paper=key)


SIMCROP = Row("simcrop", "SimCroP", OURS, recipes("simcrop"), paper="simcrop", switches=(True, True, True))
RANDOM = Row("random", "Random init", "", recipes("simcrop"), trained=False, paper="random")
SUPERVISED = Row("supervised", "Labels alone", BEYOND, recipes("supervised"), taught=True)
PAPER_ROWS = (
    RANDOM,
    method("mae", "MAE", SSL),
    method("m3ae", "M3AE", VLP),
    method("ct-clip", "CT-CLIP", VLP),
    method("mrm", "MRM", VLP),
    method("m3d", "M3D", VLP),
    Row(
        "m3d-official",
        "M3D, official weights",
        VLP,
        recipes("m3d"),
        trained=False,
        weights="m3d",
        paper="m3d",
    ),
    replace(method("fvlm", "fVLM", VLP), files=ORGAN_TEXTS),
    SIMCROP,
)
BEYOND_ROWS = (
    # On the input, windows, positions and start of the row SimCroP: of the recipe the terms and their weights are left.
    Row(
        "simcrop-plus",
        "SimCroP + cross-image term",
        BEYOND,
        recipes("simcrop-plus", "simcrop-plus-tiny"),
        sized={"tiny": ("align.top_k=12", "text.report_length=512")},
    ),
    Row("dino", "DINO", BEYOND, recipes("dino")),
    SUPERVISED,
    Row(
        "labels-first",
        "Labels first, then SimCroP",
        BEYOND,
        recipes("labels-first"),
        starts_from="supervised",
        taught=True,
    ),
)
TABLE1_ROWS = (*PAPER_ROWS, *BEYOND_ROWS)
TABLE2_ROWS = tuple(row for row in TABLE1_ROWS if row.weights is None)  # all fine-tuned, on one input


def ablation(key: str, sa: bool, il: bool, wl: bool) -> Row:
    """A row of Table 3, named by the parts that it has."""
    switches = {"align.use_sa": sa, "fusion.use_il": il, "fusion.use_wl": wl}
    settings = tuple(f"{name}=false" for name, on in switches.items() if not on)
    name = " + ".join(part for part, on in zip(("SA", "IL", "WL"), (sa, il, wl), strict=True) if on)
    return Row(key, name, OURS, recipes("simcrop"), settings, paper=key, switches=(sa, il, wl))


TABLE3_ROWS = (
    ablation("il", sa=False, il=True, wl=False),
    ablation("wl", sa=False, il=False, wl=True),
    ablation("il-wl", sa=False, il=True, wl=True),
    ablation("sa-il", sa=True, il=True, wl=False),
    ablation("sa-wl", sa=True, il=False, wl=True),
    SIMCROP,
)


def nearest(k: int) -> Row:
    """A point of Fig. 3: K patches at the paper's size, and at toy size the same share of those that are visible."""
    tiny = round(k * VISIBLE["tiny"] / VISIBLE["paper"])
    sized = {"paper": (f"align.top_k={k}",), "tiny": (f"align.top_k={tiny}",)}
    return Row(f"top-{k}", f"K = {k}", OURS, recipes("simcrop"), sized=sized)


def hidden(ratio: float) -> Row:
    """A point of Fig. 3: the share of the report's words that is hidden."""
    percent = round(100 * ratio)
    return Row(f"hide-{percent}", f"{percent} % hidden", OURS, recipes("simcrop"), (f"mlm.ratio={ratio}",))


FIG3_K = (16, 32, 64, 128, 256)
FIG3_RATIOS = (0.15, 0.3, 0.5, 0.75, 0.9)
FIG3_K_ROWS = tuple(SIMCROP if k == 64 else nearest(k) for k in FIG3_K)
FIG3_RATIO_ROWS = tuple(SIMCROP if ratio == 0.75 else hidden(ratio) for ratio in FIG3_RATIOS)
FIG3_ROWS = tuple(dict.fromkeys([*FIG3_K_ROWS, *FIG3_RATIO_ROWS]))
FIG2_ROWS = TABLE1_ROWS
FIG4_ROWS = (SIMCROP,)
ROWS: Mapping[str, tuple[Row, ...]] = {
    "table1": TABLE1_ROWS,
    "table2": TABLE2_ROWS,
    "table3": TABLE3_ROWS,
    "fig2": FIG2_ROWS,
    "fig3": FIG3_ROWS,
    "fig4": FIG4_ROWS,
}


def row_of(key: str, rows: Sequence[Row] | None = None) -> Row:
    """The row of that key, of all tables unless said."""
    every = rows if rows is not None else [row for of_table in ROWS.values() for row in of_table]
    return next(row for row in every if row.key == key)
