"""Routes that work: looking at a scan, maps of sentences, similar studies, exports, scans of one's own.

Places in RAS+ mm; similarity is a cosine.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from simcrop.errors import SimcropError
from simcrop.evaluation.wording.marks import MEANS, mark_of
from simcrop.tasks.grounding.ground import boxes, measures
from simcrop.viewer import bodies, replies
from simcrop.viewer.alike import alike, compared, make_vectors, vectors_known
from simcrop.viewer.exports import export, exported
from simcrop.viewer.own_scans import open_own, take
from simcrop.viewer.reads import state_of
from simcrop.viewer.requests import Sent, body_of, finished, reading, reply, view_of
from simcrop.viewer.sight import SeenMap
from simcrop.viewer.uploads import receive
from simcrop.viewer.work import Job, job_in


async def look(request: Request) -> Response:
    """The features of a scan are computed, unless they are kept already."""
    view = view_of(request)
    await body_of(request, bodies.Nothing)
    entry, sight = view.catalogue.entry(request.path_params["key"]), view.seeing
    if sight.is_kept(entry):
        return reply(replies.Begun(None))

    def do(job: Job) -> dict[str, str]:
        job.tell(0.1, "looking at the scan")
        sight.look(entry)
        return {"key": entry.key}

    return begun(view.quick.put(do))


async def maps(request: Request) -> Response:
    """A map for each sentence; the scan is looked at first if it was not."""
    view = view_of(request)
    asked = await body_of(request, bodies.MapRequest)
    entry, sight, texts = view.catalogue.entry(request.path_params["key"]), view.seeing, tidy(asked.sentences)
    found = await reading(view, partial(sight.known, entry, texts, asked.top_k, asked.fine))
    if found is None:
        work = view.quick.put(lambda _: sight.maps(entry, texts, asked.top_k, asked.fine))
        found = await finished(view.quick, work)
    most = view.limits.boxes
    return reply(replies.Maps([described(text, one, most) for text, one in zip(texts, found, strict=True)]))


def tidy(sentences: list[str]) -> list[str]:
    """As the command line has them: one line each."""
    lines = [" ".join(text.split()) for text in sentences]
    if not all(lines):
        raise SimcropError("empty-sentence", "sentences: one of them is empty")
    return lines


def described(sentence: str, one: SeenMap, most: int) -> replies.Map:
    mark, said = mark_of(sentence), measures(one.nearest)
    near = [replies.Box(**box) for box in boxes(one.nearest, most)]
    return replies.Map(
        map=one.id,
        mark=mark,
        means=MEANS[mark],
        least=one.least,
        greatest=one.greatest,
        threshold=one.threshold,
        boxes=near,
        **said,
    )


async def similar(request: Request) -> Response:
    """The nearest studies of the cohort; a job first, while the cohort's vectors are made."""
    view = view_of(request)
    asked = await body_of(request, bodies.Alike)
    entry, sight = view.catalogue.entry(request.path_params["key"]), view.seeing
    _ = compared(view)
    if not vectors_known(view, entry):
        return begun(view.slow.put(partial(make_vectors, view, sight, entry)))
    return reply(await reading(view, partial(alike, view, entry, asked.top)))


async def export_maps(request: Request) -> Response:
    """What `simcrop ground` writes of sentences in this scan, as a zip."""
    view = view_of(request)
    asked = await body_of(request, bodies.Exported)
    entry, sight, texts = view.catalogue.entry(request.path_params["key"]), view.seeing, tidy(asked.sentences)
    if asked.thresholds is not None and len(asked.thresholds) != len(texts):
        raise SimcropError("bad-setting", "thresholds: expected one for each sentence")
    _ = sight.model.reader
    return begun(view.slow.put(partial(export, view, sight, entry, texts, asked)))


async def file(request: Request) -> Response:
    """A zip that was exported."""
    view = view_of(request)
    path = await reading(view, partial(exported, view, request.path_params["id"]))
    return Sent(path, "application/zip", "simcrop-export.zip", view.limits.write_s)


async def upload(request: Request) -> Response:
    """A scan of one's own: NIfTI, zip or DICOM files, with its report as text where there is one."""
    view = view_of(request)
    arrived = await receive(request, view)
    try:
        return begun(view.quick.put(partial(take, view, arrived), arrived.remove))
    except SimcropError:
        await reading(view, arrived.remove)
        raise


async def open_path(request: Request) -> Response:
    """A scan below the folder that `--root` names."""
    view = view_of(request)
    if view.root is None:
        raise SimcropError("not-found", "paths are opened below --root only, and none was given")
    asked = await body_of(request, bodies.Opening)
    return begun(view.quick.put(partial(open_own, view, asked.path, asked.report)))


async def cancel(request: Request) -> Response:
    """Work that nobody wants any more."""
    view = view_of(request)
    work = job_in(request.path_params["job"], view.quick, view.slow)
    work.cancel()
    return reply(state_of(work))


def begun(job: Job) -> Response:
    return reply(replies.Begun(job.id), 202)
