"""One piece of work on many rows, shared by as many threads as torch has; for compiled code, which they run at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch


def in_parts(rows: int, work: Callable[[slice], Any], least: int) -> list[Any]:
    """What `work` makes of each part of the rows, in their order; of all of them at once where a thread would get fewer
    than `least`.
    """
    threads = torch.get_num_threads()
    if threads == 1 or rows < threads * least:
        return [work(slice(0, rows))]
    edges = np.linspace(0, rows, threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, map(slice, edges[:-1].tolist(), edges[1:].tolist())))
