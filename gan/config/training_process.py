"""Train in a process of its own, for Python code and notebooks. No torch and no Hydra.

A process leaves nothing behind in the caller: no signal handlers, environment, random state, warning filters, threads
or memory, also if training fails. It takes the options of the command line, and its errors are raised here.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from gan.config.paths import CONF
from gan.runs import run_folder
from gan.utils.errors import UserError
from gan.utils.option_values import flatten, quote
from gan.utils.output import one_line

PACKAGE = Path(__file__).resolve().parents[2]
TRAIN = [sys.executable, "-P", "-m", "gan", "train"]
ERROR = "error: "
COLORS = ("FORCE_COLOR", "CLICOLOR_FORCE")  # notebooks set them; rich would then show bars without a terminal
MAX_LINES = 20  # last lines of the output in the message of an unexpected error
NAME = r"[+~]{0,2}[A-Za-z_][\w./@:-]*"  # of an option; never that of a flag
WORD = r"(?!(null|true|false|nan|inf)$)[A-Za-z_]\w*"  # needs no quotes on Hydra's command line


def train(
    run: str | os.PathLike[str] | None, settings: Mapping[str, Any], flags: Sequence[str] = (), quiet: bool = False
) -> Path:
    """Train, and return the run folder.

    Args:
        settings: values by the names of options; see `gan.train`.
        flags: flags with their values, such as --code=DIR.

    Raises:
        UserError: an error that the user can fix.
        RuntimeError: another error, with the end of the output.
        KeyboardInterrupt: training was interrupted; it has saved a checkpoint.
    """
    options = {option_name(name): value for name, value in flatten(dict(settings)).items()} if settings else {}
    folder = folder_of(run, options)
    words = [f"{name}={in_grammar(value)}" for name, value in options.items()]
    words += [] if options.get("resume") not in (None, "auto") else [f"hydra.run.dir={in_grammar(str(folder))}"]
    code, output = run_process([*TRAIN, *words, *flags], quiet)
    if code == 2 and output and output[-1].startswith(ERROR):
        raise UserError(output[-1].removeprefix(ERROR))
    if code in (128 + signal.SIGINT, -signal.SIGINT):
        raise KeyboardInterrupt
    if code:
        raise RuntimeError("training ended with code {}:\n{}".format(code, "\n".join(output[-MAX_LINES:])))
    return folder


def option_name(name: str) -> str:
    """Return the name on the command line of a keyword: options of data need no "data.", such as root."""
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise UserError(f"options: {one_line(repr(name))} is not the name of an option, such as 'data.size'")
    if "." in name or (CONF / name).is_dir() or name in keys_of(CONF / "train.yaml"):
        return name
    return f"data.{name}" if any(name in keys_of(path) for path in (CONF / "data").glob("*.yaml")) else name


def keys_of(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def folder_of(run: str | os.PathLike[str] | None, settings: Mapping[str, Any]) -> Path:
    """Return the folder of the run: the one to resume, the given one, or a new one in runs/."""
    resume = settings.get("resume")
    if resume not in (None, "auto"):
        path = Path(resume).expanduser()
        folder = run_folder.folder_of(path)
        if run is not None and Path(run).expanduser().resolve() != folder.resolve():
            raise UserError(f"run={os.fspath(run)}, resume={path}: a resumed run stays in its folder; leave out one")
        return folder
    if run is not None:
        return Path(run).expanduser()
    if resume == "auto":
        raise UserError("resume='auto' needs the folder of the run, as in gan.train('runs/first', resume='auto')")
    parts = [str(settings[name]) for name in ("experiment", "model", "data") if name in settings] or ["run"]
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_" + re.sub(r"\W+", "-", "_".join(parts))
    tries = (Path("runs", name + suffix) for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(path for path in tries if not path.exists())


def in_grammar(value: object) -> str:
    """Return a value in the grammar of Hydra's command line; raise UserError for a type that no option has."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return value if re.fullmatch(WORD, value) else quote(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(in_grammar, value))}]"
    if hasattr(value, "item"):  # a number of NumPy or torch
        value = value.item()
    if isinstance(value, int | float):
        return repr(value)
    raise UserError(f"an option of type {type(value).__name__}: give a number, a text, a path, or a list of them")


def run_process(command: list[str], quiet: bool) -> tuple[int, list[str]]:
    """Run a command, print its lines unless `quiet`, and return its exit code and its lines."""
    places = [str(PACKAGE), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if name not in COLORS}
    paths = os.pathsep.join(filter(None, places))
    environment = {**kept, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"}
    alone = os.name == "posix"  # an interrupt reaches only this process, which forwards it once
    output: list[str] = []
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=alone)  # fmt: skip
    assert process.stdout
    try:
        while True:
            try:
                for raw in process.stdout:
                    output.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
                    if not quiet and not output[-1].startswith(ERROR):
                        print(output[-1], flush=True)
                return process.wait(), output
            except KeyboardInterrupt:
                if alone:
                    process.send_signal(signal.SIGINT)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
