"""Script of test_windows.py: let gan see Python as it is on Windows, import all of it, then train and generate.

    python tests/windows.py OVERRIDES...

Processes that are spawned run this script again, so that they see the same.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib
import io
import multiprocessing
import os
import pkgutil
import signal
import sys
from multiprocessing import context
from types import ModuleType
from typing import Any

MISSING = {
    "signal": ["SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGUSR1", "SIGUSR2",
               "alarm", "setitimer", "getitimer", "pthread_sigmask", "pthread_kill", "sigwait", "ITIMER_REAL",
               "ITIMER_PROF", "SIG_BLOCK", "SIG_SETMASK", "SIG_UNBLOCK"],
    "os": ["fork", "getuid", "geteuid", "getgid", "getpgid", "killpg", "mkfifo", "sched_getaffinity", "set_blocking",
           "get_blocking", "posix_fallocate", "statvfs", "O_NONBLOCK", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "sync",
           "uname", "wait", "setsid", "nice", "fchmod", "chown"],
    "ctypes": [],
}  # fmt: skip
NO_MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "multiprocessing.forkserver")


class Windows(ModuleType):
    """A module of Python without what Windows lacks, and with functions that behave otherwise there."""

    def __init__(self, module: ModuleType, **others: Any) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(others, _module=module)

    def __getattr__(self, name: str) -> Any:
        if name in MISSING[self.__name__]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self._module, name)


def open_file(path: Any, *arguments: Any, **options: Any) -> int:
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return os.open(path, *arguments, **options)


def kill(process: int, number: int) -> None:
    raise AssertionError(f"os.kill({process}, {number}) ends the process on Windows")


def load_library(name: str | None, *arguments: Any, **options: Any) -> ctypes.CDLL:
    if name is None:
        raise TypeError("LoadLibrary() argument 1 must be str, not None")
    return ctypes.CDLL(name, *arguments, **options)


def simulate() -> None:
    modules = {
        "os": Windows(os, open=open_file, kill=kill, name="nt"),
        "signal": Windows(signal),
        "ctypes": Windows(ctypes, CDLL=load_library),
    }
    really = builtins.__import__

    def import_module(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if str((globals or {}).get("__name__", "")).partition(".")[0] == "gan":
            names = {name, *(f"{name}.{each}" for each in fromlist or ())}
            if found := names & set(NO_MODULES):
                raise ImportError(f"No module named {found} on Windows")
            if name in modules:
                return modules[name]
        return really(name, globals, locals, fromlist, level)

    builtins.__import__ = import_module
    contexts: Any = context._concrete_contexts  # type: ignore[attr-defined]
    for method in ("fork", "forkserver"):
        contexts.pop(method, None)
    multiprocessing.get_all_start_methods = lambda: ["spawn"]  # type: ignore[method-assign]
    multiprocessing.set_start_method("spawn", force=True)
    for name in ("stdout", "stderr"):  # written to a file
        setattr(sys, name, io.TextIOWrapper(getattr(sys, name).buffer, "cp1252", line_buffering=True))


if sys.platform != "win32":
    simulate()


def main() -> None:
    import gan

    for module in pkgutil.walk_packages(gan.__path__, "gan."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    from gan.cli import main as command

    for words in (["train", *sys.argv[1:], "hydra.run.dir=run"], ["train", "resume=run", "images=24"]):
        command(words)
    for words in (
        ["generate", "run", "--seeds", "0-3", "--out", "out", "--grid"],
        ["data", "check", "pictures", "--sheet", "sheet.png"],
        ["data", "cache", "--list"],
    ):
        assert command(words) == 0, words
    print("done")


if __name__ == "__main__":
    main()
