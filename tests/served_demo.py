"""A demo in a process of its own, and calls of it without a browser."""

import json
import re
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import environment
from tests.patience import PATIENCE


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    body: bytes


class Demo:
    """A running demo."""

    def __init__(self, address: str, process: subprocess.Popen[str]) -> None:
        self.address, self.process = address, process

    def get(self, path: str, **headers: str) -> Answer:
        return self.request(urllib.request.Request(self.address + path, headers=headers))

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        headers = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return self.request(urllib.request.Request(self.address + path, body, headers))

    def request(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())

    def call(self, name: str, *data: Any, session: str | None = None) -> Any:
        """Return the outputs of a call, or its error as text."""
        body = {"data": list(data)} | ({"session_hash": session} if session else {})
        joined = self.post(f"/gradio_api/call/{name}", json.dumps(body).encode())
        if joined.status != 200:
            return json.loads(joined.body)["detail"]
        event = json.loads(joined.body)["event_id"]
        said = self.get(f"/gradio_api/call/{name}/{event}").body.decode()
        (kind, found), *_ = re.findall(r"event: (complete|error)\ndata: (.*)", said)
        return json.loads(found) if kind == "complete" else json.loads(found)["error"]

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """Upload a file, and return what names it in a call."""
        body, kind = form(name, data)
        answer = self.post("/gradio_api/upload", body, Content_Type=kind)
        assert answer.status == 200, answer.body
        (path,) = json.loads(answer.body)
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def read(self, file: dict[str, Any]) -> bytes:
        """Return the bytes of a file of an answer, or of the update of a component, as a browser gets them."""
        answer = self.get("/gradio_api/file=" + file.get("value", file)["path"])
        assert answer.status == 200
        return answer.body

    def stop(self, number: int = signal.SIGINT) -> str:
        """End the demo, and return what it has printed since."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=PATIENCE)[0]


def form(name: str, data: bytes) -> tuple[bytes, str]:
    """Return the body of a form with one file, and its type."""
    mark = secrets.token_hex(16)
    head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + data + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def demo(*words: str, folder: Path) -> AbstractContextManager[Demo]:
    """Run `gan demo` in a folder on a free port."""
    return served("-m", "gan", "demo", *words, folder=folder)


@contextmanager
def served(*words: str, folder: Path) -> Iterator[Demo]:
    """Run Python in a folder, which prints the address of a page."""
    made = folder / f"temporary-{secrets.token_hex(4)}"
    made.mkdir()
    given = environment() | {"TMPDIR": str(made), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen([sys.executable, *words], cwd=folder, env=given, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)  # fmt: skip
    assert process.stdout
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if found := re.match(r"http://\S+", line):
                yield Demo(found[0], process)
                break
        else:
            raise AssertionError("".join(lines))
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=PATIENCE)
    assert not list(made.glob("retro-gan-*"))  # temporary files are removed
