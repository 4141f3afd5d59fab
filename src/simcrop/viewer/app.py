"""The web application: the API's addresses, the page's files, and the guard around both.

No axes or units.
"""

from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from simcrop.errors import SimcropError
from simcrop.viewer.guards import Door, Guard
from simcrop.viewer.openapi import description
from simcrop.viewer.requests import refused, unknown
from simcrop.viewer.table import ADDRESSES
from simcrop.viewer.view import View

PAGE = Path(str(files("simcrop.viewer").joinpath("page")))
BUNDLE = PAGE / "niivue.js"  # built, and in every wheel; not in a clone


def application(view: View, door: Door) -> Guard:
    """What uvicorn serves."""
    routes: list[Route | Mount] = [Route(one.path, one.does, methods=[one.method]) for one in ADDRESSES]
    routes += [Route("/", index), Mount("/page", StaticFiles(directory=PAGE))]
    app = Starlette(routes=routes, exception_handlers={SimcropError: refused, HTTPException: unknown})
    app.state.view, app.state.openapi = view, description()
    return Guard(app, door)


async def index(_: object) -> Response:
    return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")
