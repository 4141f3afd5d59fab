"""A hub on this machine: the routes of the Hugging Face Hub that its client uses, over what tests put there.

No axes or units. No test here reaches a network.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

TOKEN = "hf_tokenthatmustnotbeseen"


@dataclass
class Repository:
    """`files`: what lies there, by name."""

    files: dict[str, bytes] = field(default_factory=dict)
    private: bool = False

    @property
    def sha(self) -> str:
        said = sorted((name, hashlib.sha1(content).hexdigest()) for name, content in self.files.items())
        return hashlib.sha1(json.dumps(said).encode()).hexdigest()


@dataclass
class Hub:
    """`answers`: a status that a path is answered with, whatever lies there; `asked`: method and path of every call."""

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put(self, name: str, folder: Path, private: bool = False, **more: bytes) -> Repository:
        """A folder of this machine as a repository."""
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.repositories[name] = Repository(files | more, private)
        return self.repositories[name]


class Routes(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def refused(self) -> bool:
        self.hub.asked.append(f"{self.command} {self.path}")
        for path, status in self.hub.answers.items():
            if path in self.path:
                self.body()
                self.answer({"error": f"no; you sent {self.headers.get('Authorization')}"}, status)
                return True
        return False

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def repository(self, name: str) -> Repository | None:
        """One that there is and that whoever asks may see."""
        found = self.hub.repositories.get(name)
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if found is None or (found.private and not allowed):
            self.answer({"error": "not found"}, 401, X_Error_Code="RepoNotFound")
            return None
        return found

    def do_GET(self) -> None:
        if self.refused():
            return
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self.info(found[1], found[2])
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/.+", path):
            self.tree(found[1])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            self.file(found[1], found[2])
        else:
            self.answer({"error": path}, 404)

    do_HEAD = do_GET  # noqa: N815

    def info(self, name: str, revision: str | None) -> None:
        if (of := self.repository(name)) is None:
            return
        if revision not in (None, "main", "v1", of.sha):
            self.answer({"error": "no"}, 404, X_Error_Code="RevisionNotFound")
            return
        siblings = [{"rfilename": path} for path in of.files]
        self.answer({"id": name, "sha": of.sha, "private": of.private, "siblings": siblings, "tags": []})

    def tree(self, name: str) -> None:
        if of := self.repository(name):
            rows = [
                {"type": "file", "path": path, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                for path, c in of.files.items()
            ]
            self.answer(rows)

    def file(self, name: str, path: str) -> None:
        if of := self.repository(name):
            content = of.files[path]
            self.answer(content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=of.sha)

    def do_PUT(self) -> None:
        if not self.refused():
            content = self.body()
            self.hub.large[hashlib.sha256(content).hexdigest()] = content
            self.answer(b"")

    def do_POST(self) -> None:
        if self.refused():
            return
        path, sent = self.path.partition("?")[0], self.body()
        if path == "/api/repos/create":
            asked = json.loads(sent)
            name = f"{asked['organization']}/{asked['name']}"
            self.hub.repositories[name] = Repository(private=asked.get("visibility") == "private")
            self.answer({"url": f"{self.hub.endpoint}/{name}"})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main", path):
            self.answer({"files": [self.mode(file["path"]) for file in json.loads(sent)["files"]]})
        elif path.endswith(".git/info/lfs/objects/batch"):
            href = f"{self.hub.endpoint}/upload"
            objects = [o | {"actions": {"upload": {"href": href}}} for o in json.loads(sent)["objects"]]
            self.answer({"objects": objects}, Content_Type="application/vnd.git-lfs+json")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            self.commit(self.hub.repositories[found[1]], sent)
        else:
            self.answer({"error": path}, 404)

    @staticmethod
    def mode(path: str) -> dict[str, Any]:
        large = path.endswith((".safetensors", ".onnx"))
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}

    def commit(self, of: Repository, sent: bytes) -> None:
        for row in map(json.loads, sent.splitlines()):
            value = row["value"]
            if row["key"] == "file":
                of.files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                of.files[value["path"]] = self.hub.large[value["oid"]]
            elif row["key"] == "deletedFile":
                del of.files[value["path"]]
        self.answer(
            {"success": True, "commitOid": of.sha, "commitUrl": f"{self.hub.endpoint}/o/n/commit/{of.sha}"}
        )


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # the client opens many connections at once


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The only hub that the client knows for the length of a test; nobody is logged in."""
    import huggingface_hub.constants  # noqa: F401  # which makes addresses of what HF_ENDPOINT is now

    made = Hub()
    server = Server(("127.0.0.1", 0), type("Here", (Routes,), {"hub": made}))
    made.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", made.endpoint)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, value in {
        "HF_HUB_CACHE": str(tmp_path / "hub-cache"),
        "HF_TOKEN_PATH": str(tmp_path / "no-token"),
        "HF_STORED_TOKENS_PATH": str(tmp_path / "no-tokens"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_TELEMETRY": True,
    }.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def logged_in(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token that the hub here knows."""
    assert hub.endpoint
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return TOKEN
