"""Which training patients are held out to choose by. Axes: p patient, s scan, l label."""

import numpy as np

SHARE = 0.2  # of the patients


def held_out(labels: np.ndarray, patients: np.ndarray, seed: int, share: float = SHARE) -> np.ndarray:
    """Bool `(s,)`: the scans of a drawn fifth of the patients, of whom none is taken without whom a label would be
    all of one kind among the rest. Nobody, where that leaves nobody to take.
    """
    names, number = np.unique(patients, return_inverse=True)
    kinds = np.concatenate([labels == 1, labels == 0], axis=1)
    having = np.zeros((len(names), kinds.shape[1]), int)
    np.add.at(having, number, kinds)
    left, wanted, taken = having.sum(0), round(share * len(names)), []
    for patient in np.random.default_rng((seed, 4)).permutation(len(names)):
        if len(taken) == wanted:
            break
        rest = left - having[patient]
        if ((rest > 0) | (left == 0)).all():
            left = rest
            taken.append(patient)
    return np.isin(number, taken)
