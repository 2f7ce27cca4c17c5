"""A process that has imported the modules of train.py and forks a run for each request, which saves seconds per run.

    python -m tests.warm

reads requests from stdin, a JSON object a line, and answers each with the run's exit code.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from typing import Any

HEAVY = (
    "gan.training.fit",
    "gan.run.resume",
    "gan.training.callbacks.samples",
)  # with torch, lightning, hydra and torchvision
LONGEST = 300  # seconds that a run may take


def become(request: dict[str, Any]) -> None:
    """Run `python script arguments...` in its folder and environment, with output to files."""
    signal.alarm(LONGEST)
    for stream, path in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["words"]
    code: object = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)  # taking every module apart would take a second or two


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy all of it
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
