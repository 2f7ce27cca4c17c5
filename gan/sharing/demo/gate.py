"""Decide which requests are answered: those of the page, within limits, from this machine's names.

Gradio's server does more than the page needs: it downloads addresses, keeps histories on the Hub, and serves its
configuration for developers. All of that is refused here, before Gradio sees it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gan.sharing.demo import limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

API = "/gradio_api"
FILE = f"{API}/file="
READ = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt)/?|/(static|assets)/[^\0]+"
    rf"|{API}/(info|queue/data|upload_progress|startup-events|app_id|theme\.css|login_check|user)/?"
    rf"|{API}/(heartbeat|call)/[^\0]+"
)
JOIN = re.compile(rf"{API}/(queue/join|call/(v2/)?[\w-]{{1,80}})/?")
WRITE = re.compile(rf"{API}/(cancel|reset)/?")
UPLOAD = f"{API}/upload"
LOCAL = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)
MAX_DEPTH = 12  # of the values of a call
NO_CALL = "invalid request; reload the page"
BUSY = "busy: too many calls are waiting; try again in a moment"
POLICY = "; ".join([
    "default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'", "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:", "font-src 'self' data:", "media-src 'self' data: blob:", "connect-src 'self'",
    "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'none'", "frame-ancestors 'self'",
])  # fmt: skip
HEADERS = [(b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff"),
           (b"referrer-policy", b"no-referrer")]  # fmt: skip


class Refused(Exception):
    """A request that is not answered: status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Gate:
    """An ASGI application around another one.

    Args:
        folder: the only folder whose files are served, and in which uploads are.
        any_host: whether requests may name any host, for a server that others can reach. Otherwise only the names of
            this machine are answered, so that no page on the internet can reach the server through a name of its own.
    """

    def __init__(self, app: Any, folder: Path, any_host: bool = False) -> None:
        self.app, self.folder, self.any_host = app, os.path.realpath(folder), any_host
        self.uploads = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        try:
            await self.forward(scope, receive, answer)
        except Refused as refused:
            if not started:
                await respond(answer, refused.status, refused.reason)

    async def forward(self, scope: Any, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not self.any_host and not LOCAL.fullmatch(headers.get("host", "")):
            raise Refused(403, "open the URL that gan demo printed; for access by another name, start it with "
                          "--host 0.0.0.0")  # fmt: skip
        if method == "POST" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise Refused(403, "requests of other pages are not answered")
        if method in ("GET", "HEAD"):
            if path.startswith(FILE):
                self.check_file(path.removeprefix(FILE))
            elif not READ.fullmatch(path):
                raise Refused(404, "not served")
            await self.app(scope, receive, send)
        elif method == "POST" and path.rstrip("/") == UPLOAD:
            await self.upload(scope, receive, send, headers)
        elif method == "POST" and (JOIN.fullmatch(path) or WRITE.fullmatch(path)):
            body = await whole_body(receive, headers)
            self.check_call(body)
            await self.app(scope, once(body, receive), worded(send))
        else:
            raise Refused(404 if method in ("GET", "HEAD", "POST") else 405, "not served")

    def check_file(self, path: str) -> None:
        """Refuse all but regular files in the folder. Addresses are refused, too: nothing is downloaded."""
        real = os.path.realpath(path) if os.path.isabs(path) and "\0" not in path else ""
        if not real.startswith(self.folder + os.sep) or not os.path.isfile(real):
            raise Refused(403, "this file is not served")

    def check_call(self, body: bytes) -> None:
        """Refuse a call that names a file outside of the folder, or has too many levels."""
        try:
            call = json.loads(body)
            self.check_value(call, MAX_DEPTH)
        except (ValueError, RecursionError) as error:
            raise Refused(400, NO_CALL) from error

    def check_value(self, value: Any, depth: int) -> None:
        if depth == 0:
            raise Refused(400, NO_CALL)
        if isinstance(value, list):
            for each in value:
                self.check_value(each, depth - 1)
        elif isinstance(value, dict):
            if isinstance(path := value.get("path"), str):
                self.check_file(path)
            for each in value.values():
                self.check_value(each, depth - 1)

    async def upload(self, scope: Any, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        """Forward an upload, if it is small enough and there is room."""
        check_length(headers, limits.MAX_UPLOAD)
        if self.uploads >= limits.MAX_UPLOADS:
            raise Refused(503, "busy: too many uploads at the same time; try again in a moment")
        if stored(self.folder) > limits.MAX_STORED:
            raise Refused(503, f"busy: uploads of others fill the server; try again in {limits.KEPT // 60} minutes")
        received, more = 0, True

        async def counted() -> Message:
            nonlocal received, more
            message = await next_part(receive) if more else await receive()
            more = message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > limits.MAX_UPLOAD:
                raise Refused(413, too_large(limits.MAX_UPLOAD))
            return message

        self.uploads += 1
        try:
            await self.app(scope, counted, worded(send))
        finally:
            self.uploads -= 1
            if not self.uploads:
                remove_unfinished(self.folder)


async def next_part(receive: Receive) -> Message:
    """Return the next part of a body; refuse a client that sends nothing."""
    try:
        return await asyncio.wait_for(receive(), limits.SILENCE)
    except TimeoutError as error:
        raise Refused(408, "nothing was received for too long; try again") from error


def remove_unfinished(folder: str) -> None:
    """Remove the files of uploads that failed. Finished uploads and results are in subfolders."""
    for each in os.scandir(folder):
        if each.is_file(follow_symlinks=False):
            with suppress(OSError):
                os.unlink(each.path)


async def whole_body(receive: Receive, headers: dict[str, str]) -> bytes:
    """Return the body of a call."""
    check_length(headers, limits.MAX_CALL)
    body, more = bytearray(), True
    while more:
        message = await next_part(receive)
        if message["type"] != "http.request":
            raise Refused(400, "the connection ended")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limits.MAX_CALL:
            raise Refused(413, too_large(limits.MAX_CALL))
    return bytes(body)


def check_length(headers: dict[str, str], limit: int) -> None:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > limit:
        raise Refused(413, too_large(limit))


def too_large(limit: int) -> str:
    if limit == limits.MAX_CALL:
        return f"too large: a call has at most {limit >> 10} KiB; enter shorter text"
    return f"too large: at most {limit >> 20} MiB; upload fewer or smaller files"


def once(body: bytes, receive: Receive) -> Receive:
    """Return a function that gives a body that was read already."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def worded(send: Send) -> Send:
    """Return a function that sends a response, with our words if the queue is full or Gradio fails."""
    replaced = False

    async def sending(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start" and message["status"] >= 500:
            replaced = True
            await respond(send, *((503, BUSY) if message["status"] == 503 else (400, NO_CALL)))
        elif not replaced:
            await send(message)

    return sending


async def respond(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def stored(folder: str) -> int:
    """Return the bytes in a folder of folders of files."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except OSError:  # removed meanwhile
                continue
    return total
