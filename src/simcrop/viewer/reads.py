"""Routes that read: what there is, the studies, their scans and masks, maps and regions that were made.

Axes: x right, y front, z up (RAS+); places in mm.
"""

from functools import partial
from importlib.util import find_spec
from math import isfinite

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import simcrop
from simcrop.errors import SimcropError
from simcrop.evaluation.wording.marks import MEANS, mark_of
from simcrop.viewer import bodies, replies
from simcrop.viewer.catalogue import Entry
from simcrop.viewer.regions import regions
from simcrop.viewer.requests import GZIP, Pieces, body_of, reading, reply, view_of
from simcrop.viewer.shown import Grid
from simcrop.viewer.sight import Sight
from simcrop.viewer.view import View
from simcrop.viewer.work import Job, job_in


async def about(request: Request) -> Response:
    """What is open, and what can be done with it."""
    view = view_of(request)
    shelf, limits = view.catalogue, view.limits
    can = replies.Can(True, find_spec("highdicom") is not None, can_compare(view), view.root is not None)
    return reply(
        replies.About(
            shelf.name,
            "cohort" if shelf.kind == "cohort" else "scans",
            len(shelf),
            shelf.splits,
            shelf.labels,
            None if view.sight is None else about_model(view.sight),
            can,
            replies.Bounds(limits.upload, limits.upload_files, bodies.MOST),
            simcrop.__version__,
        )
    )


def can_compare(view: View) -> bool:
    return view.cohort is not None and view.sight is not None


def about_model(sight: Sight) -> replies.AboutModel:
    model = sight.model
    patch_mm = [n * mm for n, mm in zip(model.grid.patch, model.spec.spacing_mm, strict=True)]
    return replies.AboutModel(model.recipe.method, sight.reads, model.top_k, patch_mm, sight.fine)


async def search(request: Request) -> Response:
    """Fifty studies of those in whose names and reports every word stands."""
    asked, view = await body_of(request, bodies.Search), view_of(request)
    found = await reading(
        view, partial(view.catalogue.search, asked.words, asked.split, tuple(asked.labels), asked.page)
    )
    rows = [row_of(entry) for entry in found.entries]
    return reply(replies.Listed(found.total, found.page, found.pages, rows))


def row_of(entry: Entry) -> replies.Row:
    return replies.Row(
        entry.key,
        entry.name,
        entry.split,
        list(entry.labels),
        len(entry.lines),
        entry.has_mask,
        entry.has_report,
        entry.uploaded,
    )


async def study(request: Request) -> Response:
    """One study: its grid, the sentences of its report with their marks, what its mask stands for."""
    view = view_of(request)
    entry = view.catalogue.entry(request.path_params["key"])
    return reply(await reading(view, partial(whole_study, view, entry)))


def whole_study(view: View, entry: Entry) -> replies.Study:
    grid = view.scans.grid(entry)
    texts, count = entry.lines, len(entry.findings)
    lines = [line(n, text, "findings" if n < count else "impression") for n, text in enumerate(texts)]
    truth, notes = None, list(grid.notes)
    if entry.has_mask:
        try:
            truth = replies.Truth([replies.Class(*one) for one in view.scans.classes(entry, list(texts))])
        except SimcropError as error:
            notes.append(f"its mask cannot be shown: {error.sentence}")
    return replies.Study(
        entry.key,
        entry.name,
        entry.split,
        list(entry.labels),
        placed(grid),
        lines,
        truth,
        notes,
    )


def line(n: int, text: str, section: str) -> replies.Line:
    mark = mark_of(text)
    return replies.Line(n, text, "findings" if section == "findings" else "impression", mark, MEANS[mark])


def placed(grid: Grid) -> replies.Volume:
    shown = [mm * step for mm, step in zip(grid.spacing_mm, grid.step, strict=True)]
    return replies.Volume(list(grid.shape), list(grid.spacing_mm), grid.affine.tolist(), shown, grid.reduced)


async def scan(request: Request) -> Response:
    """The scan as NIfTI, int16 HU in RAS+."""
    view = view_of(request)
    entry = view.catalogue.entry(request.path_params["key"])
    made = await reading(view, partial(view.scans.shown, entry))
    return Pieces(made.content, GZIP, view.limits.write_s)


async def truth(request: Request) -> Response:
    """The truth mask as NIfTI, whole numbers on the grid that is shown."""
    view = view_of(request)
    entry = view.catalogue.entry(request.path_params["key"])
    return Pieces((await reading(view, partial(view.scans.truth, entry))).content, GZIP, view.limits.write_s)


async def one_map(request: Request) -> Response:
    """A map as NIfTI: similarity, one voxel a cell, placed in the patient by its affine."""
    view = view_of(request)
    found = view.seeing.map(request.path_params["map"])
    return Pieces(await reading(view, lambda: found.content), GZIP, view.limits.write_s)


async def map_regions(request: Request) -> Response:
    """Where a map reaches a threshold: connected regions, largest first."""
    view = view_of(request)
    found = view.seeing.map(request.path_params["map"])
    threshold = number(request.query_params.get("threshold"), found.threshold)
    most = view.limits.regions
    made = await reading(view, partial(regions, found.values, found.inside, found.affine, threshold, most))
    return reply(replies.Regions(made))


def number(text: str | None, default: float) -> float:
    """A similarity in a query."""
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or len(text) > 40:
        raise SimcropError("bad-setting", "threshold: expected a number")
    return value


async def job(request: Request) -> Response:
    """How far work is, and what came of it."""
    view = view_of(request)
    return reply(state_of(job_in(request.path_params["job"], view.quick, view.slow)))


def state_of(found: Job) -> replies.JobState:
    error = None if found.error is None else replies.Error(found.error.reason, found.error.sentence)
    result = found.result if isinstance(found.result, dict) else None
    return replies.JobState(found.state, found.progress, found.says, result, error)


async def openapi(request: Request) -> Response:
    """This description of the API."""
    return JSONResponse(request.app.state.openapi)
