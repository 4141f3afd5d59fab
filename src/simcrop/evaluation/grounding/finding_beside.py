"""What a finding's mask must beat: that of a sentence about something that the scan lacks, and patches that are drawn.

Axes: gx, gy, gz patch. Similarities are -inf where a patch holds none of the scan.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from simcrop.data.store.cohort import Cohort
from simcrop.data.store.findings import MarkedFinding

Foreign = Mapping[str, tuple[str | None, ...]]


def foreign_sentences(
    studies: Cohort, findings: Mapping[str, Sequence[MarkedFinding]], seed: int
) -> dict[str, tuple[str | None, ...]]:
    """By study, for each of its findings, a drawn sentence of another patient about a category that the study has none
    of; None where there is none.
    """
    patients = dict(studies.index.select("id", "patient").iter_rows())
    said = defaultdict[str, list[tuple[str, str]]](list)
    for study in sorted(patients):
        for finding in findings.get(study, ()):
            said[finding.category].append((patients[study], finding.text))
    rng, found = np.random.default_rng((seed, 5)), dict[str, tuple[str | None, ...]]()
    for study in sorted(patients):
        own = {finding.category for finding in findings.get(study, ())}
        pool = [
            text
            for category in sorted(said.keys() - own)
            for patient, text in said[category]
            if patient != patients[study]
        ]
        found[study] = tuple(
            pool[int(rng.integers(len(pool)))] if pool else None for _ in findings.get(study, ())
        )
    return found


def drawn_like(chosen: np.ndarray, similarity: np.ndarray, study: str, number: int, seed: int) -> np.ndarray:
    """As many patches `(gx, gy, gz)` as were chosen, anywhere in the scan; of one finding always the same."""
    whose = int(hashlib.sha256(study.encode(errors="surrogateescape")).hexdigest()[:12], 16)
    rng = np.random.default_rng((seed, 6, whose, number))
    inside = np.flatnonzero(similarity > -np.inf)
    drawn = np.zeros(chosen.size, bool)
    drawn[rng.choice(inside, min(int(chosen.sum()), len(inside)), replace=False)] = True
    return drawn.reshape(chosen.shape)
