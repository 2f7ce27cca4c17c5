"""What tabs share: controls with checked values, answers to calls, files, and an isolated process for images."""

from __future__ import annotations

import functools
import html
import os
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import gradio as gr
from gradio.components import Component

from gan import settings
from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import ImageError
from gan.data.sources.files import SUFFIXES
from gan.settings import Setting, parse_seeds
from gan.utils import digest
from gan.utils.errors import UserError, describe_os_error, to_line
from gan.utils.files import replace

Function = TypeVar("Function", bound=Callable[..., Any])
PROGRESS = gr.Progress()  # as a default of an argument, it tells Gradio to pass the progress
# One call of each kind runs at a time, so that they share the cores.
FAST: dict[str, Any] = {"concurrency_id": "fast", "concurrency_limit": 1}
LONG: dict[str, Any] = {"concurrency_id": "long", "concurrency_limit": 1}
WATCH: dict[str, Any] = {"concurrency_id": "watch", "concurrency_limit": 1}
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

# Limits of the page. The server checks them in every call, because a caller need not use the page's sliders.
MAX_IMAGES = 64  # generated in one call
MAX_GENERATED = 60_000_000  # pixels of all images of a call, and of all frames of an animation
MAX_UNPACKED = 256 << 20  # bytes of the uploaded images in one call, unpacked
MAX_FILES = 50  # uploaded images in one call
MAX_PIXELS = 24_000_000  # of an uploaded image, over all frames
MAX_STORED = 1 << 30  # bytes of the uploads and results of all visitors
MAX_STORED_FILES = 5000

TRUNCATION = settings.TRUNCATION.within(-2, 2)
CELL = settings.CELL.within(1, 256)
FRAMES = settings.FRAMES.within(high=360)
FPS = settings.FPS.within(high=60)
CHANGE = Setting("change", default=0.0, low=-6, high=6)  # of an attribute or along a direction, standard deviations


class Cancelled(Exception):
    """The visitor has cancelled the call, or the server ends."""


class Context:
    """What the tabs share. `folder` is the one of the server for uploads and results; nothing else is served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, threading.Event] = {}  # running calls by session
        self.ending = threading.Event()
        self._apart = IsolatedProcess()
        self._decoding = threading.Lock()

    def keep(self, data: bytes, name: str) -> str:
        self.make_room(len(data))
        path = self.folder / digest.of_bytes(data) / name
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        replace(Path(file.name), path)  # at once: a browser may be reading the same file
        return str(path)

    def make_room(self, size: int) -> None:
        """Remove the oldest uploads and results until `size` more bytes and one more file are within the limits.

        Nobody can fill the disk, and nobody who stores much can keep others from using the page.
        """
        files = []
        for parent, _, names in os.walk(self.folder):
            for name in names:
                with suppress(OSError):  # removed meanwhile
                    status = os.lstat(os.path.join(parent, name))
                    files.append((status.st_mtime_ns, status.st_size, parent, name))
        stored, count = size + sum(length for _, length, _, _ in files), 1 + len(files)
        for _, length, parent, name in sorted(files):
            if stored <= MAX_STORED and count <= MAX_STORED_FILES:
                break
            with suppress(OSError):
                os.unlink(os.path.join(parent, name))
                if parent != str(self.folder):  # an upload or a result, which has a folder of its own
                    os.rmdir(parent)
            stored, count = stored - length, count - 1

    @contextmanager
    def isolated(self) -> Iterator[IsolatedProcess]:
        """Yield the isolated process for untrusted images, for this thread alone."""
        with self._decoding:
            yield self._apart

    def apart(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of a function in the isolated process; raise ImageError if an image kills it."""
        with self.isolated() as process:
            return process(function, *arguments)

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
        if (job := self.jobs.get(session_of(request))) is not None:
            job.set()

    def close(self) -> None:
        self.ending.set()
        self._apart.close()


def session_of(request: gr.Request) -> str:
    return str(getattr(request, "session_hash", None) or "")


def answer(function: Function) -> Function:
    """Decorate a function that answers a call: visitors see each error as one line, and the server stays alive."""

    @functools.wraps(function)
    def answered(*arguments: Any, **options: Any) -> Any:
        title = "Not possible"
        try:
            return function(*arguments, **options)
        except Cancelled:
            title, message = "Cancelled", "Cancelled."
        except MemoryError:
            message = "this does not fit into memory; give fewer or smaller images"
        except (UserError, ImageError) as error:
            message = to_line(error)
        except OSError as error:
            message = to_line(describe_os_error(error))
        except Exception as error:  # a fault of the program
            print(f"error: {function.__name__}: {type(error).__name__}: {to_line(error)}", file=sys.stderr, flush=True)
            message = "internal error; the terminal of gan demo shows it. You can continue to use the page."
        raise gr.Error(html.escape(message, quote=False), title=title, print_exception=False)

    return answered  # type: ignore[return-value]


class Controls:
    """The controls of a tab in the order of the values of a call, with the check of each value."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.checks: dict[str, Callable[[Any], Any]] = {}

    def add(self, name: str, component: Component, check: Callable[[Any], Any] = lambda value: value) -> Any:
        self.inputs.append(component)
        self.checks[name] = check
        return component

    def number(self, setting: Setting, component: Component, name: str = "") -> Any:
        """Add a slider or a field for the value of a setting, which may have wider limits than the slider."""

        def check(value: Any) -> Any:
            value = setting.check(value, f"{component.label} ")
            return value if setting.whole or value is None else float(value)  # as the options of commands

        return self.add(name or setting.name, component, check)

    def choice(self, name: str, component: Component) -> Any:
        words = tuple(word for _, word in component.choices)
        setting = Setting(name, default=words[0], words=words)
        return self.add(name, component, lambda value: setting.check(value, f"{component.label} "))

    def seeds(self, value: str, info: str, most: int, twice: bool = False, **options: Any) -> Any:
        field = gr.Textbox(value, label="Seeds", info=info, **options)
        return self.add("seeds", field, lambda text: parse_seeds(str(text), "Seeds", most, twice))

    def read(self, values: Sequence[Any]) -> SimpleNamespace:
        """Return the values by name; raise UserError if one is not allowed."""
        pairs = zip(self.checks.items(), values, strict=True)
        return SimpleNamespace(**{name: check(value) for (name, check), value in pairs})


def check_pixels(count: int, height: int, width: int) -> None:
    """Raise UserError if `count` images of this size are too much for one call."""
    if count * height * width > MAX_GENERATED:
        raise UserError(f"{count:,} images of {width}x{height} pixels are more than {MAX_GENERATED // 10**6} million "
                        "pixels; give fewer or smaller ones")  # fmt: skip


def image_upload() -> gr.File:
    return gr.File(label="Images, or a zip archive of images", file_count="multiple",
                   file_types=[*sorted(SUFFIXES), ".zip"], height=180)  # fmt: skip


def start_buttons(name: str, context: Context) -> Any:
    with gr.Row():
        start = gr.Button(name, variant="primary", min_width=80)
        gr.Button("Cancel", min_width=80).click(context.cancel, **PRIVATE)
    return start


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip archive of files by name. Images are not compressed again."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # without the time, so that equal images give equal bytes
    return buffer.getvalue()
