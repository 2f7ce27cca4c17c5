"""Start programs of Python as forks of a process that has imported torch and Lightning, which takes seconds."""

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
RANKS = ("LOCAL_RANK", "RANK", "WORLD_SIZE")


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in RANKS} | {"COLUMNS": "200"}


class Forked:
    """A fork of `tests.warm` that runs `python words...`, with the members of subprocess.Popen that tests use.

    /proc/PID/cmdline is that of `tests.warm`. Systems other than Linux get a new process: they cannot fork safely.
    """

    def __init__(
        self, words: list[str], folder: Path, out: Path, error: Path | None = None, session: bool = False, **more: str
    ) -> None:
        """Start it in a folder, perhaps in a new session, with its output in files and more environment variables."""
        self.words, self.out, self.error = words, out, error
        self.returncode: int | None = None
        self.process: subprocess.Popen[bytes] | None = None
        variables = environment() | more
        if sys.platform == "linux":
            request = {"words": words, "folder": str(folder), "environment": variables, "session": session}
            self.pid: int = ask(request | {"stdout": str(out), "stderr": str(error or out)})
            return
        with open(out, "ab") as stdout, open(error or out, "ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *words], cwd=folder, env=variables | {"PYTHONPATH": str(ROOT)}, stdout=stdout,
                stderr=stderr, start_new_session=session,
            )  # fmt: skip
        self.pid = self.process.pid

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self.process.poll() if self.process else ask({"pid": self.pid})
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.words, timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        self.wait(timeout)
        return self.out.read_text(), self.error.read_text() if self.error else ""


def on_ranks(count: int, words: list[str], folder: Path) -> None:
    """Run a program on several ranks, as torchrun does, and check that all succeed."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0"}
    ranks = [Forked(words, folder, folder / f"rank {n}", LOCAL_RANK=str(n), **shared) for n in range(count)]
    for rank in ranks:
        assert rank.wait() == 0, "\n".join(rank.communicate()[0] for rank in ranks)


def ask(request: dict[str, Any]) -> Any:
    server = warm()
    assert server.stdin and server.stdout
    print(json.dumps(request), file=server.stdin, flush=True)
    return json.loads(server.stdout.readline())


@functools.cache
def warm() -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.warm"]
    pipe = subprocess.PIPE
    server = subprocess.Popen(words, cwd=ROOT, env=environment(), text=True, stdin=pipe, stdout=pipe)
    atexit.register(server.communicate)  # closes its stdin, and waits for the end that this brings
    return server
