"""A process that has imported the modules of a training, and forks a program for each request, which saves seconds.

    python -m tests.warm

reads requests from stdin, a JSON object a line, and answers each with a line:

{"words": ..., "folder": ..., "environment": ..., "session": ..., "stdout": ..., "stderr": ...}    its process id
{"pid": ...}                                                    its exit code, or null while it is running

`tests.programs` sends them.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from types import ModuleType
from typing import Any

HEAVY = (
    "gan.training.fit",
    "gan.config.resume",
    "gan.training.callbacks.samples",
    "gan.training.loggers.adapter",
)  # with torch, lightning, hydra and torchvision
LONGEST = 600  # seconds that a program may take


def become(request: dict[str, Any]) -> None:
    """Run `python words...` in its folder and environment, with output to files."""
    signal.alarm(LONGEST)
    if request["session"]:
        os.setsid()
    for stream, path in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    code: object = 0
    try:
        run(request["words"])
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)  # taking every module apart would take a second or two


def run(words: list[str]) -> None:
    """Run a file, a module after -m, or code after -c, with the other words as its arguments."""
    first, *rest = words
    sys.argv = rest if first == "-m" else words
    if first == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        main = sys.modules["__main__"] = ModuleType("__main__")
        sys.argv = [first, *rest[1:]]
        exec(rest[0], vars(main))
    else:
        runpy.run_path(first, run_name="__main__")


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy all of it
    for line in sys.stdin:
        request = json.loads(line)
        if "words" in request:
            answer: int | None = os.fork()
            if answer == 0:
                become(request)
        else:
            ended, status = os.waitpid(request["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
