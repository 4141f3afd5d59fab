"""Similar studies: the nearest of the cohort by the cosine of pooled features, exactly as `simcrop similar` has them.

Axes: s study, d features.
"""

from dataclasses import replace
from typing import Any

from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError
from simcrop.tasks.features.source import source_of
from simcrop.tasks.retrieval.similar import SimilarOptions, nearest_studies, query_of
from simcrop.viewer import replies
from simcrop.viewer.catalogue import Entry
from simcrop.viewer.shown import unnamed
from simcrop.viewer.sight import Sight
from simcrop.viewer.view import View
from simcrop.viewer.work import Job

POOL = "mean"


def compared(view: View) -> Cohort:
    """The cohort in which similar studies are looked for."""
    if view.cohort is None:
        raise SimcropError("no-cohort", "similar studies are looked for in a cohort, and none is open")
    return view.cohort


def vectors_known(view: View, entry: Entry) -> bool:
    known = view.vectors
    return known.rows is not None and (entry.path is None or known.queries.find(entry.key) is not None)


def make_vectors(view: View, sight: Sight, entry: Entry, job: Job) -> dict[str, Any]:
    """The work before the first answer. What is made of a cohort is kept there, for the command line as well."""
    known, cohort = view.vectors, compared(view)
    known.source = known.source or source_of(sight.path, POOL)
    if known.rows is None:
        job.tell(0.1, f"features of {len(cohort)} studies")
        known.rows = known.source.rows(cohort, POOL)
    if entry.path is not None:
        job.tell(0.8, "features of this scan")
        with unnamed(entry):
            query = query_of(str(entry.path), cohort, known.source, SimilarOptions())
        known.queries.put(entry.key, replace(query, voxels=None))
    return {"key": entry.key}


def alike(view: View, entry: Entry, top: int) -> replies.Alike:
    """Nearest first."""
    known, cohort = view.vectors, compared(view)
    query = known.queries.find(entry.key)
    if query is None:
        assert known.source is not None
        query = query_of(entry.name, cohort, known.source, SimilarOptions())
    assert known.rows is not None
    near = nearest_studies(known.rows, query, cohort, SimilarOptions(top=top, pool=POOL))
    found = [(view.catalogue.of_row(one.row), one) for one in near]
    return replies.Alike(
        [
            replies.Near(e.key, e.name, one.cosine, e.split, list(e.labels), one.rank is None)
            for e, one in found
        ]
    )
