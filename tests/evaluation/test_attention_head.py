"""The attention head finds what no mean shows. Axes: s scan, n token, d features."""

import numpy as np
from sklearn.metrics import roc_auc_score

from simcrop.evaluation.heads.settings import HeadSettings
from simcrop.evaluation.heads.tokens import Tokens
from simcrop.evaluation.heads.training import fit_trained


def tokens_of(values: list[np.ndarray]) -> Tokens:
    return Tokens(lambda place: values[place], np.arange(len(values)), values[0].shape[1])


def test_attention_finds_what_the_mean_washes_out() -> None:
    """One marked token of 150 says whether a scan has the label; all others say it at random."""

    def scans(seed: int, count: int) -> tuple[list[np.ndarray], np.ndarray]:
        rng = np.random.default_rng(seed)
        truth = (rng.random((count, 1)) < 0.5).astype(float)
        found = []
        for (has,) in truth:
            tokens = rng.normal(size=(150, 6)).astype(np.float32)
            tokens[rng.integers(150), :2] = 8, 4 * has - 2
            found.append(tokens.astype(np.float16))
        return found, truth

    (known, truth), (unseen, test_truth) = scans(0, 120), scans(1, 150)
    settings = HeadSettings(batch=32, lr=3e-2, steps=200, warmup=20, patience=100)
    people = np.arange(120)
    attention = fit_trained("attention", tokens_of(known), truth, people, 0, settings)
    means = [np.stack([scan.astype(np.float32).mean(0) for scan in of]) for of in (known, unseen)]
    linear = fit_trained("linear", means[0], truth, people, 0, settings)
    assert roc_auc_score(test_truth[:, 0], attention.scores(tokens_of(unseen))[:, 0]) > 0.95
    assert roc_auc_score(test_truth[:, 0], linear.scores(means[1])[:, 0]) < 0.75
