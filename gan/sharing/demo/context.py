"""What the tabs share: files to download, work that can be cancelled, and an isolated process for untrusted images."""

from __future__ import annotations

import functools
import html
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from gan.common import digest
from gan.common.errors import UserError, describe_os_error, to_line
from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import ImageError

Function = TypeVar("Function", bound=Callable[..., Any])
FAST, LONG, WATCH = "fast", "long", "watch"  # one call of each kind runs at a time, so that they share the cores
PROGRESS = gr.Progress()  # as a default of an argument, it tells Gradio to pass the progress


class Cancelled(Exception):
    """The visitor has cancelled the call, or the server ends."""


class Context:
    """What the tabs share.

    Args:
        folder: the folder of the server for uploads and results. Nothing else is served.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, threading.Event] = {}  # running calls by session
        self.ending = threading.Event()
        self._apart = IsolatedProcess()
        self._decoding = threading.Lock()

    def keep(self, data: bytes, name: str) -> str:
        """Write a file for the visitor, and return its path."""
        path = self.folder / digest.of_bytes(data) / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def apart(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of a function in the isolated process; raise ImageError if an image kills it."""
        with self._decoding:
            return self._apart(function, *arguments)

    @contextmanager
    def isolated(self) -> Iterator[IsolatedProcess]:
        """Yield the isolated process for untrusted images, for this thread alone."""
        with self._decoding:
            yield self._apart

    @contextmanager
    def job(self, request: gr.Request, progress: Any, total: int, title: str) -> Iterator[Callable[[int], None]]:
        """Yield a function to call with the number of steps just done: it shows progress.

        The function raises Cancelled after `cancel` for the same session.
        """
        cancelled, session, done = threading.Event(), session_of(request), 0
        self.jobs[session] = cancelled

        def advance(steps: int) -> None:
            nonlocal done
            if cancelled.is_set() or self.ending.is_set():
                raise Cancelled
            done += steps
            progress((min(done, total), total), desc=title)

        try:
            advance(0)
            yield advance
        finally:
            if self.jobs.get(session) is cancelled:
                del self.jobs[session]

    def cancel(self, request: gr.Request) -> None:
        """Cancel the running call of a session."""
        if (job := self.jobs.get(session_of(request))) is not None:
            job.set()

    def close(self) -> None:
        """End all running calls, and the other process."""
        self.ending.set()
        self._apart.close()


def session_of(request: gr.Request) -> str:
    return str(getattr(request, "session_hash", None) or "")


def answer(function: Function) -> Function:
    """Decorate a function that answers a call: visitors see each error as one line, and the server stays alive."""

    @functools.wraps(function)
    def answered(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except gr.Error:
            raise
        except Cancelled:
            raise gr.Error("Cancelled.", title="Cancelled", print_exception=False) from None
        except MemoryError:
            message = "this does not fit into memory; give fewer or smaller images"
        except (UserError, ImageError) as error:
            message = to_line(error)
        except OSError as error:
            message = to_line(describe_os_error(error))
        except Exception as error:  # a fault of the program
            print(f"error: {function.__name__}: {type(error).__name__}: {to_line(error)}", file=sys.stderr, flush=True)
            message = "internal error; the terminal of gan demo shows it. You can continue to use the page."
        raise gr.Error(html.escape(message, quote=False), title="Not possible", print_exception=False)

    return answered  # type: ignore[return-value]
