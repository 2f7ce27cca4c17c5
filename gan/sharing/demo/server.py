"""Serve the page on this machine until Ctrl-C: its port, its folder of temporary files, and its end."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from gan.common.errors import UserError, reason
from gan.common.memory import share_arenas
from gan.common.signals import termination_as_exit

PORT = 7860  # of Gradio
PORTS = 100  # tried after PORT if none is given
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Gradio reads these; the first must be set before its import.
ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_SSR_MODE": "False",
               "GRADIO_MCP_SERVER": "False", "GRADIO_SHARE": "False", "GRADIO_NUM_PORTS": "1"}  # fmt: skip


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
def prepared(content: Any, any_host: bool = False) -> Iterator[Any]:
    """Yield the ASGI application of a page. Its temporary files are removed at the end.

    Args:
        content: a `gan.sharing.demo.models.Content`.
        any_host: see `gan.sharing.demo.gate.Gate`.
    """
    with tempfile.TemporaryDirectory(prefix="retro-gan-demo-") as name:
        folder = Path(os.path.realpath(name))
        os.environ |= ENVIRONMENT
        os.environ |= {"GRADIO_TEMP_DIR": str(folder), "GRADIO_EXAMPLES_CACHE": str(folder / "examples")}
        import gradio as gr
        from fastapi import FastAPI

        from gan.sharing.demo import limits, page
        from gan.sharing.demo.calls import Context
        from gan.sharing.demo.gate import Gate

        context = Context(folder)
        blocks = page.build(content, context)
        blocks.state_session_capacity = limits.MAX_SESSIONS
        app = gr.mount_gradio_app(
            FastAPI(docs_url=None, redoc_url=None, openapi_url=None), blocks, path="/", footer_links=[],
            run_history=False, show_error=False, max_file_size=limits.MAX_UPLOAD, enable_monitoring=False, pwa=False,
            ssr_mode=False, mcp_server=False, theme=page.theme(), css=page.STYLE,
        )  # fmt: skip
        blocks.has_launched = True  # Gradio checks the paths of uploads only then
        with measuring(content.models, context.ending):
            try:
                yield Gate(app, folder, any_host)
            finally:
                context.close()


@contextmanager
def measuring(models: Sequence[Any], ending: Event) -> Iterator[None]:
    """Measure the attributes of the models in another thread, and wait for its end.

    Python ends threads that outlive the program; torch aborts the process if it is computing in one.
    """
    thread = Thread(target=measure, args=(models, ending))
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def measure(models: Sequence[Any], ending: Event) -> None:
    """Measure the attributes of each generator, which takes seconds, before a visitor needs them."""
    for shown in models:
        if shown.generates and not ending.is_set():
            with suppress(Exception):  # a visitor gets the message
                shown.units  # noqa: B018


def serve(content: Any, host: str, started: Callable[[str], None], listener: socket.socket) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        content: a `gan.sharing.demo.models.Content`.
        started: called with the address of the page.
        listener: the socket of `listen`.
    """
    import uvicorn

    from gan.sharing.demo import limits

    share_arenas()
    any_host = host not in LOOPBACK
    with termination_as_exit(), prepared(content, any_host) as app:
        config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1,
                                limit_concurrency=limits.MAX_CONNECTIONS, ws="none", server_header=False)  # fmt: skip
        started(address(listener))
        with suppress(KeyboardInterrupt):  # raised again at the end of the server
            uvicorn.Server(config).run(sockets=[listener])
        print("stopped", file=sys.stderr)


def address(listener: socket.socket) -> str:
    """Return the address of the page on this machine."""
    host, port = listener.getsockname()[:2]
    shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
