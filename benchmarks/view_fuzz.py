"""`simcrop view` asked at random by its own description: no answer may be a fault of the server.

    python benchmarks/view_fuzz.py RUN_OR_COHORT --model MODEL --requests 2400 --json benchmarks/results/view-fuzz.json

Prints JSON: requests by status and address, and every fault. Half of the requests fit the description and half do not;
of three in four the keys are those of real studies, maps and jobs, so that they reach what lies behind.
"""

import argparse
import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from simcrop.viewer.app import application
from simcrop.viewer.guards import Door
from simcrop.viewer.openapi import REFUSALS, description
from simcrop.viewer.table import ADDRESSES, Address
from simcrop.viewer.view import View, open_view

HOST = "http://127.0.0.1:8765"
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def main() -> None:
    chosen = arguments()
    with TemporaryDirectory() as folder:
        view = open_view(chosen.place, chosen.model, None, Path(folder), chosen.place)
        each = -(-chosen.requests // (len(ADDRESSES) * len(MODES)))
        report = fuzzed(view, each, chosen.seed)
        view.stop()
    text = json.dumps(report, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.write_text(text + "\n")
    raise SystemExit(1 if report["faults"] else 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("place", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--requests", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def fuzzed(view: View, each: int, start: int) -> dict[str, Any]:
    """`each` requests of each address that fit its description, and as many that do not."""
    app = application(view, Door("127.0.0.1", 8765))
    client = TestClient(app, base_url=HOST, headers={"X-Simcrop": "1"}, follow_redirects=False)
    schema: Any = schemathesis.openapi.from_dict(description())
    schema.app, schema.config.base_url = app, HOST
    statuses, by_address, faults = Counter[int](), dict[str, Counter[int]](), list[dict[str, Any]]()
    known = real_ids(client)
    for address in ADDRESSES:
        own = by_address.setdefault(f"{address.method} {address.path}", Counter())
        for mode in MODES:
            for status, fault in asked(schema, address, mode, known, each, start):
                own[status] += 1
                statuses[status] += 1
                faults += [{"address": address.path, "fault": fault}] if fault else []
    return {
        "requests": sum(statuses.values()),
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "addresses": {name: {str(s): n for s, n in sorted(own.items())} for name, own in by_address.items()},
        "faults": faults,
    }


def real_ids(client: TestClient) -> dict[str, str]:
    """Of a study, a map, a job and a file that are there."""
    key = client.post("/api/search", json={}).json()["studies"][0]["key"]
    maps = client.post(f"/api/studies/{key}/maps", json={"sentences": ["There is a nodule."]}).json()
    asked_for = {"sentences": ["There is a nodule."]}
    job = client.post(f"/api/studies/{key}/export", json=asked_for).json().get("job", "")
    return {"key": key, "job": job, "id": "0" * 24} | (
        {"map": maps["maps"][0]["map"]} if "maps" in maps else {}
    )


def asked(
    schema: Any,
    address: Address,
    mode: GenerationMode,
    known: dict[str, str],
    each: int,
    start: int,
) -> list[tuple[int, str | None]]:
    """Statuses, and what an answer breaks of the description."""
    found = list[tuple[int, str | None]]()
    described = {*address.gives, *REFUSALS, 405}

    @seed(start)
    @settings(
        max_examples=each,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(schema[address.path][address.method].as_strategy(generation_mode=mode), strategies.integers(0, 3))
    def one(case: Any, luck: int) -> None:
        case.path_parameters = {
            name: known.get(name, value) if luck else value
            for name, value in (case.path_parameters or {}).items()
        }
        answer = case.call(headers={"X-Simcrop": "1"} if luck else None)
        kind = answer.headers.get("content-type", [""])[0]
        fault = None
        if answer.status_code >= 500:
            fault = f"status {answer.status_code}"
        elif answer.status_code >= 400 and not kind.startswith(("application/json", "text/")):
            fault = f"an error of the type {kind}"
        elif answer.status_code not in described:
            fault = f"status {answer.status_code} is not described"
        found.append((answer.status_code, fault))

    with suppress(Unsatisfiable):  # an address that takes nothing cannot be asked wrongly
        one()
    return found


if __name__ == "__main__":
    main()
