"""A Hugging Face Hub on the loopback: the routes that a download and an upload need, and the number of requests."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gan.models import card
from gan.settings import LICENSES

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_of_the_test"
REVISIONS = ("main", "v1", COMMIT)


class Hub(ThreadingHTTPServer):
    """Serves models: files by name, by USER/NAME. `sizes` overrides the size that is announced for a file.

    A Space is the model spaces/USER/NAME. `private` has the names of private models.
    """

    def __init__(self, models: dict[str, dict[str, bytes]], sizes: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.models, self.sizes = models, sizes
        self.requests: list[str] = []
        self.private: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        name, action = self.route()
        model = self.server.models.get(name)
        if model is None:
            self.answer(with_body=True)
        elif action.startswith("tree/"):
            self.send([{"type": "file", "path": file, "size": len(data), "oid": "0"} for file, data in model.items()])
        else:
            about = {"id": name.removeprefix("spaces/"), "sha": COMMIT, "private": name in self.server.private}
            front = card.split(model["README.md"].decode())[0] if "README.md" in model else None
            self.send({**about, "cardData": front, "siblings": [{"rfilename": file} for file in model]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name, action = self.route()
        if self.path == "/api/repos/create":
            self.create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            front, _ = card.split(json.loads(body)["content"])
            errors = [] if front["license"] in LICENSES else [{"message": '"license" must be one of [mit, ...]'}]
            self.send({"errors": errors, "warnings": []}, 400 if errors else 200)
        elif action.startswith("preupload/"):
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                     for file in json.loads(body)["files"]]  # fmt: skip
            self.send({"files": files})
        elif action.startswith("commit/"):
            for key, value in ((line["key"], line["value"]) for line in map(json.loads, body.splitlines())):
                if key == "file":
                    self.server.models[name][value["path"]] = base64.b64decode(value["content"])
                elif key == "deletedFile":
                    del self.server.models[name][value["path"]]
            self.send(
                {"success": True, "commitOid": COMMIT, "commitUrl": f"{self.server.address}/{name}/commit/{COMMIT}"}
            )
        else:
            self.send({"error": "not found"}, 404)

    def route(self) -> tuple[str, str]:
        """Return the name of a model, and the rest of the path; empty texts for the path of a file."""
        parts = [*self.path.partition("?")[0].strip("/").split("/", 4), "", "", "", ""]
        if parts[0] != "api" or parts[1] not in ("models", "spaces"):
            return "", ""
        return f"{'spaces/' * (parts[1] == 'spaces')}{parts[2]}/{parts[3]}", parts[4]

    def create(self, asked: dict[str, Any]) -> None:
        name = f"{'spaces/' * (asked.get('type') == 'space')}{asked['organization']}/{asked['name']}"
        status = 409 if name in self.server.models else 200
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.send({"error": "Invalid username or password."}, 401)
            return
        if status == 200 and asked.get("visibility") == "private":
            self.server.private.add(name)
        self.server.models.setdefault(name, {".gitattributes": b""})
        self.send({"url": f"{self.server.address}/{name}"}, status)

    def send(self, answer: Any, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self, with_body: bool) -> None:
        user, name, _, revision, file = [*self.path.strip("/").split("/", 4), "", "", "", ""][:5]
        self.server.requests.append(f"{self.command} {file}")
        model = self.server.models.get(f"{user}/{name}")
        missing = "RepoNotFound" if model is None else "RevisionNotFound" if revision not in REVISIONS else ""
        if model is not None and not missing and file not in model:
            missing = "EntryNotFound"
        content = b"" if missing or model is None else model[file]
        self.send_response(404 if missing else 200)
        if missing:
            self.send_header("X-Error-Code", missing)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        size = self.server.sizes.get(f"{user}/{name}/{file}")
        if size is not None:
            self.send_header("X-Linked-Size", str(size))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serving(models: dict[str, dict[str, bytes]], sizes: dict[str, int]) -> Iterator[Hub]:
    with Hub(models, sizes) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()
