"""Every address of the viewer's API: its method, what answers, what it takes and what it gives.

No axes or units. The routes and their description are both made of this table.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from simcrop.viewer import actions, bodies, reads, replies

Endpoint = Callable[[Request], Awaitable[Response]]
GZIP, ZIP, JSON, FORM = "application/gzip", "application/zip", "application/json", "multipart/form-data"


@dataclass(frozen=True)
class Address:
    """`takes`: the type of a JSON body; `gives`: by status the type of the JSON, or the name of another kind."""

    method: str
    path: str
    does: Endpoint
    gives: dict[int, type | str]
    takes: type[bodies.Body] | str | None = None
    query: dict[str, str] = field(default_factory=dict)

    @property
    def says(self) -> str:
        return (self.does.__doc__ or "").strip()


STUDY = "/api/studies/{key}"
ADDRESSES = (
    Address("GET", "/api/about", reads.about, {200: replies.About}),
    Address("GET", "/api/openapi.json", reads.openapi, {200: dict}),
    Address("POST", "/api/search", reads.search, {200: replies.Listed}, bodies.Search),
    Address("GET", STUDY, reads.study, {200: replies.Study}),
    Address("GET", f"{STUDY}/scan.nii.gz", reads.scan, {200: GZIP}),
    Address("GET", f"{STUDY}/truth.nii.gz", reads.truth, {200: GZIP}),
    Address("POST", f"{STUDY}/look", actions.look, {200: replies.Begun, 202: replies.Begun}, bodies.Nothing),
    Address("POST", f"{STUDY}/maps", actions.maps, {200: replies.Maps}, bodies.MapRequest),
    Address(
        "POST", f"{STUDY}/similar", actions.similar, {200: replies.Alike, 202: replies.Begun}, bodies.Alike
    ),
    Address("POST", f"{STUDY}/export", actions.export_maps, {202: replies.Begun}, bodies.Exported),
    Address("GET", "/api/maps/{map}.nii.gz", reads.one_map, {200: GZIP}),
    Address(
        "GET",
        "/api/maps/{map}/regions",
        reads.map_regions,
        {200: replies.Regions},
        query={"threshold": "number"},
    ),
    Address("POST", "/api/uploads", actions.upload, {202: replies.Begun}, FORM),
    Address("POST", "/api/open", actions.open_path, {202: replies.Begun}, bodies.Opening),
    Address("GET", "/api/jobs/{job}", reads.job, {200: replies.JobState}),
    Address("DELETE", "/api/jobs/{job}", actions.cancel, {200: replies.JobState}),
    Address("GET", "/api/files/{id}.zip", actions.file, {200: ZIP}),
)
