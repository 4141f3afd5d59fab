"""A plugin of pytest: how tests are collected, and in which order they run.

No axes or units.
"""

import gc
from collections.abc import Generator

import pytest

# Files that take longest, by the end of their path. Begun first, none of them is left to one process at the end.
LONGEST = (
    "segmentation/test_segment_real.py",
    "objectives/test_global_batch.py",
    "page/test_walk.py",
    "page/test_acts.py",
    "page/test_readable.py",
    "page/test_leaving.py",
    "tasks/test_signals.py",
    "test_real_line.py",
    "engine/test_kill_matrix.py",
    "tables/test_reproduce.py",
    "experiments/test_demo.py",
    "experiments/test_natural.py",
    "tasks/test_every_method.py",
    "engine/test_sharding.py",
    "parallel/test_cluster.py",
    "probing/test_real_tables.py",
    "grounding/test_ground_jobs.py",
    "engine/test_memory.py",
    "training/test_sharded_run.py",
    "phantom/test_real_chest.py",
    "experiments/test_extension.py",
    "experiments/test_side_by_side.py",
    "benchmarks/test_step.py",
    "training/test_pretrain.py",
    "viewer/test_serving.py",
    "experiments/test_segmentation.py",
    "grounding/test_ground_eval_inserted.py",
    "hostile/test_corpus.py",
    "benchmarks/test_gpu.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported stays: looking through it for garbage, ever again, would be a fifth of what collecting costs,
    and then a part of every test and of every process that is forked.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((at for at, end in enumerate(LONGEST) if path.endswith(end)), len(LONGEST))

    items.sort(key=place)
