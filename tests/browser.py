"""Chromium for tests of pages: without a network beyond the loopback, and with a record of what went wrong.

Tests that use it skip where playwright or Chromium is missing.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
# The sandbox needs rights that containers lack. The pages are ours.
ARGUMENTS = [NO_NETWORK, "--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]


def chromium() -> str:
    """Return the path of Chromium: $CHROMIUM or a program of this machine. Skip the test if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found


@contextmanager
def browser(*arguments: str) -> Iterator[Any]:
    """A browser of playwright's synchronous interface.

    Use it in fixtures of a module or of a test: while it is open, asyncio cannot be used in the same thread.
    """
    api = pytest.importorskip("playwright.sync_api")
    path = chromium()
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        try:
            yield opened
        finally:
            opened.close()


class Faults(list[str]):
    """What went wrong in a page: exceptions, errors in its console, and requests to other hosts than the loopback."""

    def watch(self, page: Any) -> None:
        page.on("pageerror", lambda error: self.append(f"exception: {error}"))
        page.on("console", lambda line: self.append(f"console: {line.text}") if line.type == "error" else None)
        page.on("request", lambda request: self.check(request.url))

    def check(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "blob:", "data:", "about:")):
            self.append(f"request: {url}")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder as `python -m http.server` does; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
