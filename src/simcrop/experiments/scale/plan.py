"""Hours, bytes and rates of a pre-training, from counts and from what was measured; nothing is run.

No axes. GB and MB are 10^9 and 10^6 bytes; hours are of one core, one GPU, or by the clock, as the name says.
"""

from dataclasses import dataclass
from math import ceil

from simcrop.experiments.scale.breaking import Part, parts_of
from simcrop.experiments.scale.feeding import Feeding, feeding_of, finer, voxels_of
from simcrop.experiments.scale.memory import Memory, memory_of
from simcrop.experiments.scale.request import PlanRequest
from simcrop.experiments.scale.tables import TableHours, hours_of_tables
from simcrop.experiments.speeds import speeds
from simcrop.experiments.tables.expense import NUMBER, checkpoint_bytes
from simcrop.tasks.training.cost import Cost
from simcrop.tasks.training.counted import counted


@dataclass(frozen=True)
class IngestHours:
    """`hours`: on all cores of all machines, as fast as cores or disks allow, whichever `waits_for`."""

    core_hours: float
    raw_tb: float
    cores: int
    hours: float
    waits_for: str


@dataclass(frozen=True)
class Pretraining:
    """`way`: how a step is made, `plain`, `compiled` and so on; `share`: of the product limit; `again`: computed once
    more, over all the rest, where samples are compared over several micro-batches. `gpu_hours` over all GPUs, `hours`
    by the clock; `hours_at_limit`: by the clock, if nothing but products took time.
    """

    gflop_per_scan: float
    pflop: float
    samples: int
    steps: int
    batch_per_gpu: int
    way: str
    share: float
    share_is_measured: bool
    again: float
    step_seconds: float
    volumes_per_s: float
    gpu_hours: float
    hours: float
    hours_at_limit: float


@dataclass(frozen=True)
class Plan:
    """`store_gb` by codec; `limit_tflops`: of a large product on one GPU. `breaks`: the parts, the fullest first."""

    scans: int
    gpus: int
    kind: str
    recipe: str
    epochs: int
    limit_tflops: float
    limit_is_measured: bool
    ingest: IngestHours
    store_gb: dict[str, float]
    pretraining: Pretraining
    device_gb_per_s: float
    feeding: tuple[Feeding, ...]
    codec: str
    checkpoint_gb: float
    checkpoints_kept: int
    model_gb: float
    memory: Memory
    breaks: tuple[Part, ...]
    tables: tuple[TableHours, ...]

    @property
    def at_once(self) -> int:
        """Scans in one forward pass on a GPU."""
        return max(1, self.memory.micro_batch)


def plan_of(asked: PlanRequest) -> Plan:
    known, cost = speeds(), counted(asked.recipe)
    memory = memory_of(asked, cost)
    spent = pretraining_of(asked, cost, memory)
    each = spent.volumes_per_s / asked.gpus
    feeding = feeding_of(asked, each)
    gradients = NUMBER * cost.trained / 1e9
    ways = {one.codec: parts_of(asked, one, memory, gradients, spent.step_seconds) for one in feeding}
    codec = min(ways, key=lambda name: ways[name][0].load)
    return Plan(
        scans=asked.scans,
        gpus=asked.gpus,
        kind=asked.kind,
        recipe=asked.recipe_name,
        epochs=asked.recipe.optim.epochs,
        limit_tflops=known.product_tflops(asked.device),
        limit_is_measured=asked.device.product is not None,
        ingest=ingest_of(asked),
        store_gb={
            name: asked.scans * of.mb * finer(asked) / 1e3 for name, of in known.codecs.by_name.items()
        },
        pretraining=spent,
        device_gb_per_s=each * voxels_of(asked) * 2 / 1e9,
        feeding=feeding,
        codec=codec,
        checkpoint_gb=checkpoint_bytes(cost) / 1e9,
        checkpoints_kept=asked.recipe.checkpoint.keep,
        model_gb=NUMBER * cost.kept / 1e9,
        memory=memory,
        breaks=ways[codec],
        tables=hours_of_tables(asked),
    )


def machines(asked: PlanRequest) -> int:
    return ceil(asked.gpus / speeds().machine.gpus)


def ingest_of(asked: PlanRequest) -> IngestHours:
    of, machine = speeds().ingest, speeds().machine
    cores = asked.gpus * machine.cores_per_gpu
    core_hours = asked.scans * of.core_seconds_per_scan / 3600
    raw_gb = asked.scans * of.raw_mb_per_scan / 1e3
    by_cores, by_disk = core_hours / cores, raw_gb / (machine.disk_gb_per_s * machines(asked)) / 3600
    return IngestHours(
        core_hours, raw_gb / 1e3, cores, max(by_cores, by_disk), "cores" if by_cores >= by_disk else "disk"
    )


def pretraining_of(asked: PlanRequest, cost: Cost, memory: Memory) -> Pretraining:
    known = speeds()
    engine, at_once = asked.recipe.engine, max(1, memory.micro_batch)
    ways = {
        "compiled": engine.compile,
        "recomputed": engine.recompute and not engine.compile,
        "graphed": engine.cuda_graphs,
    }
    way = "-".join(name for name, taken in ways.items() if taken) or "plain"
    share = known.training.share(at_once, way)
    flops = cost.gflop_per_scan * 1e9 * asked.samples
    limit = known.product_tflops(asked.device) * 1e12
    slower = known.training.distributed if asked.gpus > 1 else 1.0
    again = cost.again_share if at_once < asked.batch else 0.0
    seconds = slower * (1 + again) * flops / (limit * share) / asked.gpus
    steps = ceil(asked.samples / asked.recipe.optim.batch)
    return Pretraining(
        gflop_per_scan=cost.gflop_per_scan,
        pflop=flops / 1e15,
        samples=asked.samples,
        steps=steps,
        batch_per_gpu=asked.batch,
        way=way,
        share=share,
        share_is_measured=known.training.least <= at_once and asked.kind == "h100",
        again=again,
        step_seconds=seconds / steps,
        volumes_per_s=asked.samples / seconds,
        gpu_hours=seconds * asked.gpus / 3600,
        hours=seconds / 3600,
        hours_at_limit=flops / limit / asked.gpus / 3600,
    )
