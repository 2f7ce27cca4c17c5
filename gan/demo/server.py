"""Serve the page on this machine until Ctrl-C, and decide which requests are answered.

Gradio's server does more than the page needs: it downloads addresses, keeps histories on the Hub, and serves its
configuration for developers. All of that is refused by `Gate`, before Gradio sees it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gan.utils.errors import UserError, reason
from gan.utils.processes import termination_as_exit

PORT = 7860  # of Gradio
PORTS = 100  # tried after PORT if none is given
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Gradio reads these; the first must be set before its import.
ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_SSR_MODE": "False",
               "GRADIO_MCP_SERVER": "False", "GRADIO_SHARE": "False", "GRADIO_NUM_PORTS": "1"}  # fmt: skip

MAX_UPLOAD = 64 << 20  # bytes of one upload
MAX_UPLOADS = 8  # at the same time
MAX_CALL = 256 << 10  # bytes of a call without its uploads
MAX_CONNECTIONS = 600
REQUEST_SECONDS = 60.0
MAX_SESSIONS = 32  # whose state is kept, about 3 MB each

API = "/gradio_api"
FILE = f"{API}/file="
READ = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)/?|/(static|assets)/[^\0]+"
    rf"|{API}/(info|queue/data|upload_progress|startup-events|app_id|theme\.css|login_check|user)/?"
    rf"|{API}/(heartbeat|call)/[^\0]+"
)
CALL = re.compile(rf"{API}/(queue/join|call/(v2/)?[\w-]{{1,80}}|cancel|reset)/?")
UPLOAD = f"{API}/upload"
LOCAL = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)
POLICY = "; ".join([
    "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'", "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:", "font-src 'self' data:", "media-src 'self' data: blob:", "connect-src 'self'",
    "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'none'",
    "frame-ancestors 'self'" + " https://huggingface.co" * ("SPACE_ID" in os.environ),  # which shows Spaces in a frame
])  # fmt: skip
HEADERS = [(b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff"),
           (b"referrer-policy", b"no-referrer")]  # fmt: skip


class TimedProtocol(H11Protocol):
    """HTTP for a connection, which is closed if its client takes longer than REQUEST_SECONDS to send a request."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.close_if_incomplete(self)

    def close_if_incomplete(self, last: object) -> None:
        """Close the connection if it waits for the same request as at the last check, and check again later."""
        waits = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if waits and self.cycle is last:
            self.transport.close()
        elif not self.transport.is_closing():
            self.loop.call_later(REQUEST_SECONDS, self.close_if_incomplete, self.cycle if waits else self)


class Refused(Exception):
    """A request that is not answered: status and reason."""


class Gate:
    """An ASGI application around another one.

    Args:
        folder: the only folder whose files are served, and in which uploads are.
        make_room: called before an upload with the number of bytes that may come.
        any_host: whether requests may name any host, for a server that others can reach. Otherwise only the names of
            this machine are answered, so that no page on the internet can reach the server through a name of its own.
    """

    def __init__(self, app: Any, folder: Path, make_room: Callable[[int], None], any_host: bool = False) -> None:
        self.app, self.folder, self.any_host = app, os.path.realpath(folder), any_host
        self.make_room, self.uploads = make_room, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        try:
            await self.forward(Request(scope, receive), scope, receive, answer)
        except Refused as refused:
            status, reason = refused.args
            await JSONResponse({"detail": reason}, status)(scope, receive, answer)

    async def forward(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        path, headers = scope["path"], request.headers
        if not self.any_host and not LOCAL.fullmatch(headers.get("host", "")):
            raise Refused(403, "open the URL that gan demo printed; for access by another name, start it with "
                          "--host 0.0.0.0")  # fmt: skip
        if request.method in ("GET", "HEAD"):
            if path.startswith(FILE):
                self.check_file(path.removeprefix(FILE))
            elif not READ.fullmatch(path):
                raise Refused(404, "not served")
            await self.app(scope, receive, send)
            return
        is_upload = path.rstrip("/") == UPLOAD
        if request.method != "POST" or not (is_upload or CALL.fullmatch(path)):
            raise Refused(404, "not served")
        # Browsers send sec-fetch-site only to localhost and by https, and origin always.
        page = headers.get("origin", "").rpartition("://")[2]
        site = "none" if page in ("", headers.get("host")) else "cross-site"
        if headers.get("sec-fetch-site", site) not in ("same-origin", "none"):
            raise Refused(403, "requests of other pages are not answered")
        length, limit = headers.get("content-length", ""), MAX_UPLOAD if is_upload else MAX_CALL
        if not length.isdecimal() or int(length[:20]) > limit:  # the server reads no more than this
            raise Refused(413, f"too large: at most {limit >> 10:,} KiB; upload fewer or smaller files, or enter less")
        if is_upload:
            await self.upload(scope, receive, send)
            return
        body = await request.body()
        self.check_call(body)
        await self.app(scope, again(body, receive), send)

    async def upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward an upload after making room for it and for those that are running."""
        if self.uploads >= MAX_UPLOADS:
            raise Refused(503, "busy: others are uploading; try again in a minute")
        self.uploads += 1
        try:
            self.make_room(self.uploads * MAX_UPLOAD)
            await self.app(scope, receive, send)
        finally:
            self.uploads -= 1

    def check_file(self, path: str) -> None:
        """Refuse all but regular files in the folder. Addresses are refused, too: nothing is downloaded."""
        real = os.path.realpath(path) if os.path.isabs(path) and "\0" not in path else ""
        if not real.startswith(self.folder + os.sep) or not os.path.isfile(real):
            raise Refused(403, "this file is not served")

    def check_call(self, body: bytes) -> None:
        """Refuse a call that names a file outside of the folder."""
        try:
            values = [json.loads(body)]
        except (ValueError, RecursionError) as error:
            raise Refused(400, "invalid request; reload the page") from error
        while values:
            value = values.pop()
            if isinstance(value, dict):
                if isinstance(path := value.get("path"), str):
                    self.check_file(path)
                value = list(value.values())
            if isinstance(value, list):
                values += value


def again(body: bytes, receive: Receive) -> Receive:
    """Return a function that gives a body that was read already."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return messages.pop() if messages else await receive()

    return give


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens on a port; on the first free one from PORT on if none is given.

    Raises:
        UserError: the port is taken, or the host is not a name or an address of this machine.
    """
    for number in range(PORT, PORT + PORTS) if port is None else (port,):
        try:
            family = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, number), family=family, backlog=256)
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise UserError(
                    f"--host {host}: is not an address of this machine; leave it out, or use 0.0.0.0"
                ) from error
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({reason(error)})"
    raise UserError(f"--port {number}: {why}; give another")


@contextmanager
def prepared(models: Any, any_host: bool = False) -> Iterator[Any]:
    """Yield the ASGI application of a page. Its temporary files are removed at the end.

    Args:
        models: a list of `gan.demo.models.PageModel`; empty for looks.
        any_host: see `Gate`.
    """
    with tempfile.TemporaryDirectory(prefix="retro-gan-demo-") as name:
        folder = Path(os.path.realpath(name))
        os.environ |= ENVIRONMENT
        os.environ |= {"GRADIO_TEMP_DIR": str(folder), "GRADIO_EXAMPLES_CACHE": str(folder / "examples")}
        from gan.demo import page

        context = page.Context(folder)
        blocks = page.build(models, context)
        blocks.state_session_capacity = MAX_SESSIONS
        app = page.gr.mount_gradio_app(
            FastAPI(docs_url=None, redoc_url=None, openapi_url=None), blocks, path="/", footer_links=[],
            run_history=False, show_error=False, max_file_size=MAX_UPLOAD, enable_monitoring=False, pwa=False,
            ssr_mode=False, mcp_server=False, theme=page.theme(), css=page.STYLE,
        )  # fmt: skip
        blocks.has_launched = True  # Gradio checks the paths of uploads only then
        try:
            yield Gate(app, folder, context.make_room, any_host)
        finally:
            context.close()


def serve(models: Any, host: str, started: Callable[[str], None], listener: socket.socket) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        models: a list of `gan.demo.models.PageModel`; empty for looks.
        started: called with the address of the page.
        listener: the socket of `listen`.
    """
    any_host = host not in LOOPBACK
    with termination_as_exit(), prepared(models, any_host) as app:
        config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1,
                                limit_concurrency=MAX_CONNECTIONS, ws="none", http=TimedProtocol,
                                server_header=False)  # fmt: skip
        started(address(listener))
        with suppress(KeyboardInterrupt):  # raised again at the end of the server
            uvicorn.Server(config).run(sockets=[listener])
        print("stopped", file=sys.stderr)


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
