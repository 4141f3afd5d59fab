"""Can scores tell what is there from what is not? A model that says nothing of its scan reaches one half.

Axes: t sentence about what is there, n sentence about what is not. Sentences are compared within their own scan alone:
some scans score any sentence higher, and a model that never read a word must not gain by that.
"""

import numpy as np


def told_apart(
    there: np.ndarray, lacking: np.ndarray, scan_there: np.ndarray, scan_lacking: np.ndarray
) -> np.ndarray:
    """`(t,)`: the share of its scan's sentences about what is not there that each scores above, a tie counts half; NaN
    where the scan has none. Its mean is the AUROC within scans. Scores that are NaN were not asked.
    """
    won = np.full(len(there), np.nan)
    asked = ~np.isnan(lacking)
    order = np.lexsort((lacking[asked], scan_lacking[asked]))
    scores, scans = lacking[asked][order], scan_lacking[asked][order]
    for row, (score, scan) in enumerate(zip(there, scan_there, strict=True)):
        first, last = np.searchsorted(scans, scan, "left"), np.searchsorted(scans, scan, "right")
        if first < last and score == score:
            own = scores[first:last]
            below, up_to = np.searchsorted(own, score, "left"), np.searchsorted(own, score, "right")
            won[row] = (below + up_to) / 2 / len(own)
    return won
