"""A plan in words: what it takes, what was measured and what is assumed, and which part breaks first. No axes."""

from textwrap import wrap

from simcrop.experiments.scale.breaking import Part
from simcrop.experiments.scale.plan import Plan
from simcrop.experiments.speeds import MEASURED, speeds

FEW = 0.75  # of the best share: below it the batch of one GPU is what costs most
NOT_MEASURED = (
    "Not measured: more than one GPU (no loss is assumed but what DistributedDataParallel costs with one process), "
    "other networks than SimCroP's (the same share of the limit is assumed), real scans of other sizes, and all of it "
    "at once. A store that stays in memory is read from disk once."
)


def words_of(plan: Plan) -> list[str]:
    """Lines of 120 characters at most, but for names."""
    return [
        f"{plan.scans:,} scans, {plan.gpus} x {plan.kind}, {plan.recipe}, {plan.epochs} epochs",
        "",
        *ingest_lines(plan),
        *training_lines(plan),
        *memory_lines(plan),
        *feeding_lines(plan),
        "",
        *breaking_lines(plan),
        "",
        *table_lines(plan),
        "",
        *source_lines(plan),
    ]


def row(name: str, words: str) -> str:
    return f"{name:<14}{words}"


def ingest_lines(plan: Plan) -> list[str]:
    of = plan.ingest
    stores = ", ".join(f"{size(gb)} with {name}" for name, gb in plan.store_gb.items())
    return [
        row("ingest", f"{number(of.core_hours)} core hours over {size(1e3 * of.raw_tb)} of raw scans"),
        row("", f"{number(of.hours)} hours on {of.cores} cores, for which the {of.waits_for} set the pace"),
        row("store", stores),
    ]


def training_lines(plan: Plan) -> list[str]:
    of = plan.pretraining
    share = f"{of.share:.0%} of {plan.limit_tflops:.0f} TFLOP/s"
    first = [
        row("", f"and {of.again:.0%} more for a first look at each micro-batch, to compare all of a batch")
    ]
    return [
        row("pre-training", f"{of.pflop:,.0f} PFLOP: {of.samples:,} scans of {of.gflop_per_scan:,.0f} GFLOP"),
        *(first if of.again else []),
        row("", f"{number(of.gpu_hours)} GPU hours, {number(of.hours)} by the clock, at {share}"),
        row("", f"{of.steps:,} steps of {1e3 * of.step_seconds:.0f} ms, {of.volumes_per_s:,.0f} volumes/s"),
        row("", f"{number(of.hours_at_limit)} hours by the clock at the limit"),
    ]


def memory_lines(plan: Plan) -> list[str]:
    of = plan.memory
    fits = (
        f"{of.largest} scans at once fit into {of.free_gb:.0f} GB" if of.largest else "not even one scan fits"
    )
    if plan.pretraining.batch_per_gpu > of.micro_batch > 0:
        fits += f": --set engine.micro_batch={of.micro_batch}"
    kept = plan.checkpoints_kept * plan.checkpoint_gb
    return [
        row(
            "GPU memory",
            f"{of.used_gb:.1f} GB with {plan.at_once} scans at once on each GPU; {fits}",
        ),
        row(
            "checkpoints",
            f"{plan.checkpoint_gb:.2f} GB each, {kept:.2f} GB kept; model {plan.model_gb:.2f} GB",
        ),
    ]


def feeding_lines(plan: Plan) -> list[str]:
    lines = [
        row(
            "each GPU eats",
            f"{plan.pretraining.volumes_per_s / plan.gpus:.0f} volumes/s, {plan.device_gb_per_s:.2f} GB/s to the card",
        )
    ]
    for of in plan.feeding:
        chosen = " (this one is assumed)" if of.codec == plan.codec else ""
        lines.append(
            row("", f"{of.codec}: {of.gb_per_s:.2f} GB/s from disk, {of.cores:.1f} cores that read{chosen}")
        )
    return lines


def breaking_lines(plan: Plan) -> list[str]:
    """The batch of one GPU stands before all parts, where it is small."""
    lines: list[str] = []
    training, way = speeds().training, plan.pretraining.way
    best = training.share(training.largest, way)
    if training.share(plan.at_once, way) < FEW * best:
        lines.append(
            f"What costs most is the batch: {plan.at_once} scans at once on a GPU reach {plan.pretraining.share:.0%} "
            f"of its limit, {training.largest} reach {best:.0%}."
        )
    first, *rest = plan.breaks
    lines.append(
        f"{first.name[0].upper()}{first.name[1:]} {'is broken' if first.load > 1 else 'breaks first'}: "
        f"{first.needed:.1f} of {first.there:g} {first.unit} ({first.of}), {outcome(first)}."
    )
    lines.append("Then " + ", ".join(f"{of.name} {percent(of.load)}" for of in rest) + ".")
    return lines


def outcome(part: Part) -> str:
    """What a part does to the training, in a few words."""
    if part.name == "GPU memory":
        return "smaller micro-batches or a larger GPU" if part.load > 1 else f"{part.load:.0%} used"
    if part.load > 1:
        return f"so that training takes {part.load:.1f} times as long as said"
    return f"{part.load:.0%} used, full when steps are {1 / part.load:.1f} times as fast"


def table_lines(plan: Plan) -> list[str]:
    lines = [f"{'with 3 seeds':<14}{'jobs':>6}{'trained':>9}{'GPU hours':>12}{'by the clock':>14}"]
    for of in plan.tables:
        lines.append(f"{of.name:<14}{of.jobs:>6}{of.trainings:>9}{of.gpu_hours:>12,.0f}{of.hours:>14,.0f}")
    return [
        *lines,
        "Tables share what they train: `all` is not the sum. A job has one GPU. Heads, which need none, are left out.",
    ]


def source_lines(plan: Plan) -> list[str]:
    """Where each figure is from, and what is only assumed."""
    known = speeds()
    device, machine, least = known.devices[plan.kind], known.machine, known.training.least
    beside = "" if plan.limit_is_measured else ", less what a large product misses of it on an H100"
    drawn = f"; for fewer than {least} scans at once a line drawn on" if plan.at_once < least else ""
    there = "" if plan.kind == MEASURED else f"; on an {plan.kind.upper()} it is not measured"
    lines = [
        f"Limit: of a large product; {device.source}{beside}.",
        f"Share of it: {known.training.source}{drawn}{there}.",
        f"Ingest: {known.ingest.source}.",
        f"Reading: {known.codecs.source}.",
        f"Machines: {machine.gpus} GPUs, {machine.cores_per_gpu} cores for each, {machine.disk_gb_per_s:g} GB/s from "
        f"disk, {machine.network_gb_per_s_per_gpu:g} GB/s for each GPU to other machines; {machine.source}.",
        f"Data sets of the tables: {known.data_sets.source}.",
        NOT_MEASURED,
    ]
    return [line for words in lines for line in wrap(words, 120)]


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def size(gb: float) -> str:
    return f"{gb / 1e3:,.1f} TB" if gb >= 1e3 else f"{gb:,.0f} GB" if gb >= 1 else f"{gb:.2g} GB"


def percent(load: float) -> str:
    return f"{load:.0%}" if load >= 0.01 or load == 0 else "under 1%"
