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
    "test_real_line.py",
    "tables/test_reproduce.py",
    "tasks/test_signals.py",
    "tasks/test_every_method.py",
    "page/test_walk.py",
    "page/test_acts.py",
    "experiments/test_demo.py",
    "experiments/test_natural.py",
    "phantom/test_real_chest.py",
    "parallel/test_cluster.py",
    "experiments/test_extension.py",
    "benchmarks/test_step.py",
    "training/test_pretrain.py",
    "experiments/test_segmentation.py",
    "page/test_readable.py",
    "grounding/test_ground_eval_inserted.py",
    "viewer/test_serving.py",
    "tests/test_package.py",
    "viewer/test_openapi.py",
    "experiments/test_ceilings.py",
    "experiments/test_side_by_side.py",
    "hostile/test_corpus.py",
    "phantom/test_layouts.py",
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
