"""The description of the API, OpenAPI 3.1, made of the table of addresses and of the types that go in and out.

No axes or units.
"""

import re
from typing import Any

from pydantic import TypeAdapter

import simcrop
from simcrop.viewer import replies
from simcrop.viewer.bodies import Body
from simcrop.viewer.table import ADDRESSES, FORM, JSON, Address

REF = "#/components/schemas/{model}"
BINARY = {"type": "string", "format": "binary"}
REFUSALS = {
    400: "no JSON, or cut off",
    401: "the token is missing",
    403: "another host or site",
    404: "not here",
    408: "the body came too slowly",
    409: "not with this scan or model",
    413: "too large",
    415: "a body of another type",
    422: "cannot be used",
    429: "too much is waiting already",
}
HEX = {"type": "string", "pattern": "^[0-9a-f]{24}$"}


def description() -> dict[str, Any]:
    """The whole document."""
    schemas = dict[str, Any]()
    paths = dict[str, dict[str, Any]]()
    for address in ADDRESSES:
        paths.setdefault(address.path, {})[address.method.lower()] = operation(address, schemas)
    error = schema_of(replies.Error, schemas)
    refusals = {
        str(status): {"description": words, "content": {JSON: {"schema": error}}}
        for status, words in REFUSALS.items()
    }
    for path in paths.values():
        for one in path.values():
            one["responses"] |= refusals
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "simcrop view",
            "version": simcrop.__version__,
            "description": "Not for diagnosis.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operation(address: Address, schemas: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": address.says,
        "operationId": address.does.__name__,
        "parameters": list(parameters(address)),
        "responses": {
            str(status): {"description": "as wanted", "content": content(kind, schemas)}
            for status, kind in address.gives.items()
        },
    }
    if isinstance(address.takes, str):
        made["requestBody"] = {"required": True, "content": {FORM: {"schema": FORM_SCHEMA}}}
    elif address.takes is not None:
        made["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": schema_of(address.takes, schemas)}},
        }
    return made


FORM_SCHEMA = {
    "type": "object",
    "properties": {
        "files": {"type": "array", "items": BINARY, "minItems": 1},
        "report": {"type": "string", "maxLength": 100_000},
    },
    "required": ["files"],
}


def parameters(address: Address) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": HEX}
        for name in re.findall(r"\{(\w+)\}", address.path)
    ]
    found += [{"name": name, "in": "query", "schema": {"type": kind}} for name, kind in address.query.items()]
    if address.method not in ("GET", "HEAD"):
        mark = {"type": "string", "const": "1"}
        found.append({"name": "X-Simcrop", "in": "header", "required": True, "schema": mark})
    return found


def content(kind: type | str, schemas: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, str):
        return {kind: {"schema": BINARY}}
    return {JSON: {"schema": {"type": "object"} if kind is dict else schema_of(kind, schemas)}}


def schema_of(kind: type, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to the type's schema, which lies with all that it holds among `schemas`."""
    mode = "validation" if issubclass(kind, Body) else "serialization"
    made = TypeAdapter(kind).json_schema(ref_template=REF, mode=mode)
    schemas.update(made.pop("$defs", {}))
    name = f"Asks{kind.__name__}" if mode == "validation" else kind.__name__
    schemas[name] = made
    return {"$ref": REF.format(model=name)}
