"""However a global batch is cut, into micro-batches or over processes, loss and gradient are those of the whole."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.distributed.fsdp  # once, before processes are forked
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from torch.utils.data import TensorDataset

from simcrop.engine.checkpoint import CheckpointSettings
from simcrop.engine.distributed import DistributedContext, Sharding
from simcrop.engine.gradient import Gradient
from simcrop.engine.incidents import Incidents
from simcrop.engine.job import EngineSettings, Job
from simcrop.engine.optim import OptimSettings, build_optimizer
from simcrop.engine.order import RankShare, step_seed
from simcrop.engine.sharding import is_part
from simcrop.engine.stepper import Stepper
from simcrop.engine.wrapping import wrap
from simcrop.objectives.method import Objective

STUDIES = (
    "a 6 mm nodule in the left upper lobe. no effusion. the lung is clear.",
    "no effusion. the right lobe is not in the left lung.",
    "",  # a whole micro-batch, and a whole process, without a word
    "",
    "the nodule is in the right lower lobe. no nodule in the left lung. no effusion. the upper lung is clear.",
    "the lung is clear.",
    "not clear. the right lower lobe is clear. no nodule.",
    "a nodule in the left lower lobe. the upper lung is clear.",
)
LABELS = ["nodule", "effusion", "lung"]
CROSS = {"enabled": True, "visible": 0.5, "max_document_frequency": 1.0, "skip_attention": 0.5}
OPTIONS = {
    "opposite": True,
    "level": {"enabled": True, "weight": 1},
    "prompts": {"enabled": True, "labels": LABELS},
}
TRAINED = {"freeze": False}
DINO = {"head": {"hidden": 19, "bottleneck": 7, "outputs": 11, "frozen_epochs": 0}, "views": {"small": 3}}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("simcrop", {}),
    "plus": ("simcrop", {"align": {"cross_image": CROSS | {"directions": "both"}}, "mlm": {"share": 0.5}}),
    "sigmoid": ("simcrop", {"align": {"use_sa": False, "cross_image": CROSS | {"loss": "sigmoid"}}}),
    "sizes": ("simcrop", {"align": {"cross_image": CROSS | {"stated_size": True, "top_share": 0.2}}}),
    "options": ("simcrop", {"align": {"cross_image": CROSS | {"top_share": 0.2}, **OPTIONS}}),
    "scope": ("simcrop", {"align": {"scope": "batch", "cross_image": CROSS}}),
    "bert": ("simcrop", {"mlm": {"replace": "bert", "unit": "token"}, "align": {"sent_pool": "mean"}}),
    "ct-clip": ("ct-clip", {"contrast": {"dim": 17}}),
    "ct-clip, trained text": ("ct-clip", {"contrast": {"dim": 17}, "text": TRAINED}),
    "m3d": ("m3d", {"contrast": {"dim": 17}, "text": TRAINED}),
    "fvlm": ("fvlm", {"organs": {"names": ["lung", "heart"], "dim": 17}}),
    "mae": ("mae", {}),
    "dino": ("dino", DINO),
    "m3ae": ("m3ae", {"text": TRAINED}),
    "m3ae, no words": (
        "m3ae",
        {"mlm": {"weight": 0}, "vision": {"cls_token": False}, "co_attention": {"depth": 1}},
    ),
    "mrm": ("mrm", {"mlm": {"share": 0.5}}),
    "finer": ("mrm", {"mrm": {"sr_scale": 2}, "mim": {"norm_pix": True}}),
    "supervised": ("supervised", {"head": {"labels": LABELS}}),
}
SEED, STEP = 5, 7
SHARDINGS: tuple[Sharding, ...] = ("none", "full")


def made(build_parts: Callable, name: str, size: int) -> tuple[Objective, list[Any]]:
    """A method with its studies in micro-batches of a size. A text encoder that is trained drops nothing here: what is
    dropped belongs to a micro-batch.
    """
    method, groups = METHODS[name]
    objective, parts = build_parts(method, STUDIES, size, **groups)
    if getattr(objective, "text", None) is not None:
        objective.text.eval()
    return objective, parts


def found(objective: Objective, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Terms, gradients, and what is kept between steps, by name."""
    gradients = {n: whole_of(p.grad) for n, p in objective.named_parameters() if p.grad is not None}
    return {f"term {name}": term.detach() for name, term in terms.items()} | gradients | kept(objective)


def whole_of(tensor: Any) -> Tensor:
    """Of one that is spread over processes, all of it."""
    return tensor.full_tensor() if is_part(tensor) else tensor.clone()


def kept(objective: Objective) -> dict[str, Tensor]:
    """Buffers that a checkpoint holds."""
    trained = {name for name, _ in objective.named_parameters()}
    return {name: t.clone() for name, t in objective.state_dict().items() if name not in trained}


def whole(objective: Objective, batch: Any) -> dict[str, Tensor]:
    """The slow, obvious version: everything at once, and the sum of its terms."""
    terms = objective.losses(batch, step_seed(SEED, 2, STEP))
    sum(objective.terms[name].weight * term for name, term in terms.items()).backward()  # type: ignore[union-attr]
    objective.ends(0.0, 1, lambda values: values)
    return found(objective, terms)


def cut(
    objective: Objective, parts: list[Any], context: DistributedContext, wrapped: Any = None
) -> dict[str, Tensor]:
    """What the engine makes of this process's micro-batches."""
    share = RankShare(context.rank, context.world, len(parts[0]))
    wrapped = wrapped or wrap(objective, context, objective.skips_parameters)
    sums = Gradient(objective, wrapped, share, SEED, False, context).backward(STEP, parts)
    objective.ends(0.0, 1, context.total)
    return found(objective, dict(zip(objective.terms, context.mean(sums)[1:], strict=True)))


def curve(objective: Objective, parts: list[Any], context: DistributedContext, wrapped: Any) -> Tensor:
    """Loss, terms and gradient norm of two steps from there on."""
    micro = len(parts[0])
    optim = OptimSettings(
        lr=1e-3, batch=micro * len(parts) * context.world, epochs=2, warmup_epochs=1, clip_grad=0.5
    )
    engine = EngineSettings(precision="fp32", micro_batch=micro)
    places = TensorDataset(torch.zeros(optim.batch))
    job = Job(places, None, Path(), lambda _: None, SEED, optim, engine, CheckpointSettings())
    stepper = Stepper(objective, wrapped, build_optimizer(objective, optim), job, context, Incidents())
    rows = [stepper.step(step, parts) for step in range(job.steps)]
    return torch.tensor([[row[name] for name in ("loss", *objective.terms, "grad_norm")] for row in rows])


def alike(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name in ours.keys() | theirs.keys():
        # A parameter that a cut batch reaches with a gradient of nothing is as good as one that is not reached.
        a, b = (side.get(name, torch.zeros(())) for side in (ours, theirs))
        torch.testing.assert_close(*torch.broadcast_tensors(a, b), rtol=2e-4, atol=2e-6, msg=name)


@pytest.mark.parametrize("name", METHODS)
def test_any_micro_batch_gives_the_loss_and_gradient_of_the_whole(build_parts: Callable, name: str) -> None:
    objective, (batch,) = made(build_parts, name, 8)
    expected = whole(objective, batch)
    assert any(value.abs().max() > 1e-3 for key, value in expected.items() if not key.startswith("term"))
    for size in (8, 2):
        objective, parts = made(build_parts, name, size)
        alike(cut(objective, parts, DistributedContext(0, 1, torch.device("cpu"))), expected)


@pytest.mark.parametrize("name", ["ct-clip, trained text", "m3d"])
def test_contrast_over_a_cut_batch_is_plain_cross_entropy_over_all(build_parts: Callable, name: str) -> None:
    """Gradients reach both encoders and the scale through what other micro-batches gave."""
    objective, (batch,) = made(build_parts, name, 8)
    head, tokens = objective.projection, batch.sentences.tokens
    seen = objective.vision(batch.volume)
    images = normalize(head.image(seen.cls if name == "m3d" else seen.patches.mean(1)), dim=-1)
    texts = normalize(head.words(objective.text(tokens.ids, tokens.mask)[:, 0]), dim=-1)
    scale = head.log_scale if name == "m3d" else head.log_scale.exp()
    logits = scale * images[batch.sentences.image_index] @ texts.T
    own = torch.arange(6)  # two of the eight have no findings
    term = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    term.backward()
    expected = found(objective, {"contrast": term})
    for part in ("log_scale", "text.bert", "vision."):
        assert any(part in key and value.abs().max() > 1e-5 for key, value in expected.items()), part
    objective, parts = made(build_parts, name, 1)
    alike(cut(objective, parts, DistributedContext(0, 1, torch.device("cpu"))), expected)


@contextmanager
def joined(rank: int, world: int, meeting: Path) -> Iterator[DistributedContext]:
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
    try:
        yield DistributedContext(rank, world, torch.device("cpu"))
    finally:
        dist.destroy_process_group()


def compute(rank: int, world: int, folder: Path, every: dict[str, tuple[Objective, list[Any]]]) -> None:
    """In a process of its own: its share of every method's batch, with and without all parameters in it."""
    torch.set_num_threads(
        1
    )  # those that the forked process had are not in this one, which would wait for them
    with joined(rank, world, folder / "meeting") as context:
        for name, sharding in product(every, SHARDINGS):
            objective, parts = every[name]
            objective = objective if sharding == SHARDINGS[-1] else deepcopy(objective)
            mine = len(parts) // world
            parts = parts[rank * mine : (rank + 1) * mine]
            wrapped = wrap(objective, context, objective.skips_parameters, sharding)
            trained = [p for p in objective.parameters() if p.requires_grad]
            here = sum((p.to_local() if is_part(p) else p).numel() for p in trained)  # type: ignore[operator]
            result = cut(objective, parts, context, wrapped) if world == 2 else {}
            result["curve"] = curve(objective, parts, context, wrapped)
            result["share"] = torch.tensor(here / sum(p.numel() for p in trained))
            torch.save(result, folder / f"{name}-{sharding}-{rank}.pt")


@pytest.mark.parametrize(("world", "size"), [(2, 4), (4, 1)])
def test_any_number_of_processes_learns_what_one_learns(
    build_parts: Callable, tmp_path: Path, world: int, size: int
) -> None:
    """Loss and gradient, and the loss after some steps: whether each holds all parameters, or its share of them."""
    every = {name: made(build_parts, name, size) for name in METHODS}
    forked = multiprocessing.get_context("fork")
    running = [forked.Process(target=compute, args=(rank, world, tmp_path, every)) for rank in range(world)]
    for process in running:
        process.start()
    for process in running:
        process.join(300)
    assert [process.exitcode for process in running] == [0] * world
    for name in METHODS:
        objective, (batch,) = made(build_parts, name, 8)
        expected = whole(objective, batch) if world == 2 else {}
        expected["curve"] = curve(
            objective, [batch], DistributedContext(0, 1, torch.device("cpu")), objective
        )
        for rank, sharding in product(range(world), SHARDINGS):
            result = torch.load(tmp_path / f"{name}-{sharding}-{rank}.pt", weights_only=True)
            share = float(result.pop("share"))
            assert share == 1 if sharding == "none" else share == pytest.approx(1 / world, rel=0.15)
            alike(result, expected)


@pytest.mark.parametrize("name", ["plus", "options", "scope", "ct-clip", "m3ae"])
def test_a_trained_text_encoder_drops_the_same_in_both_looks_at_a_micro_batch(
    build_parts: Callable, name: str
) -> None:
    """Else the gradient of what was compared would go into what other dropout made."""
    method, groups = METHODS[name]
    align = {k: v for k, v in groups.get("align", {}).items() if k != "prompts"}  # which wants it frozen
    trained = {**groups, **({"align": align} if align else {}), "text": TRAINED}
    objective, parts = build_parts(method, STUDIES, 4, **trained)
    gradient = Gradient(
        objective, objective, RankShare(0, 1, 4), SEED, False, DistributedContext(0, 1, torch.device("cpu"))
    )
    micro = gradient.drawn(STEP, parts)[0]
    first = gradient.forward(STEP, 0, micro, objective.compared)
    second = gradient.forward(STEP, 0, micro, objective)
    other = gradient.forward(STEP, 1, micro, objective.compared)
    assert list(second) == list(objective.terms)
    for term, part in first.items():
        assert torch.equal(part.texts, second[term].texts)
        assert torch.equal(part.images, second[term].images)
    assert any(not torch.equal(part.texts, other[term].texts) for term, part in first.items())


@pytest.mark.parametrize("name", ["sigmoid", "fvlm", "ct-clip", "m3ae, no words"])
def test_what_is_learned_in_a_comparison_is_reduced_once_where_parameters_may_be_unused(
    build_parts: Callable, tmp_path: Path, name: str
) -> None:
    """A scale or a temperature, which is no part of any layer, under the reducer that looks for the unused."""
    objective, (batch,) = made(build_parts, name, 8)
    with joined(0, 1, tmp_path / "meeting") as context:
        expected = cut(deepcopy(objective), [batch], context)
        wrapped = torch.nn.parallel.DistributedDataParallel(objective, find_unused_parameters=True)
        alike(cut(objective, [batch], context, wrapped), expected)


def test_what_is_random_belongs_to_the_sample_and_the_step(build_parts: Callable) -> None:
    objective, (batch,) = build_parts("simcrop", STUDIES, 8)
    _, parts = build_parts("simcrop", STUDIES, 2)
    seed = step_seed(SEED, 2, STEP)
    at_once = objective.draw(batch, seed).drawn["patches"]
    drawn = [objective.draw(part, seed, 2 * number).drawn for number, part in enumerate(parts)]
    assert torch.equal(at_once, torch.cat([part["patches"] for part in drawn]))
    assert len(at_once[:, 0].unique()) == 8
    assert not torch.equal(at_once, objective.draw(batch, seed + 1).drawn["patches"])
    words = objective.draw(batch, seed).report.ids
    for number, part in enumerate(parts):
        some = objective.draw(part, seed, 2 * number).report.ids
        assert torch.equal(words[2 * number : 2 * number + 2, : some.shape[1]], some)
