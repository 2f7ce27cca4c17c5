"""A Hugging Face Hub on the loopback: the routes that a download of two files needs, and the number of requests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISIONS = ("main", "v1", COMMIT)


class Hub(ThreadingHTTPServer):
    """Serves models: files by name, by USER/NAME. `sizes` overrides the size that is announced for a file."""

    def __init__(self, models: dict[str, dict[str, bytes]], sizes: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.models, self.sizes = models, sizes
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

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
