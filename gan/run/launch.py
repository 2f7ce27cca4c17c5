"""How train.py starts, and ends where something is wrong: in a line that a person can read. No torch at import."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra.errors import HydraException, InstantiationException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from gan.common import signals
from gan.common.errors import UserError, did_you_mean, of_system, shown
from gan.run.config import CONF, is_child, options
from gan.run.lock import release


def launch(main: Callable[[], Any]) -> None:
    """Run a `@hydra.main` function: help without torch, the run folder claimed first, errors in one line."""
    with signals.raised(), errors_in_one_line():
        if "--help" in sys.argv[1:] or "-h" in sys.argv[1:]:
            from gan.run.help import text

            print(text())
            return
        if not is_child():
            from gan.run.resume import prepare

            sys.argv[1:] = prepare(sys.argv[1:])
        try:
            main()
        finally:
            release()


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End with one line and exit code 2 where a user can mend it; HYDRA_FULL_ERROR=1 shows the traceback.

    It stands around `launch` and inside Hydra's job, since Hydra adds lines of its own to what leaves the job.
    """
    # What the user wants, remembered for the inner one and for child processes, since Hydra must raise and not print.
    wants_traceback = os.environ.setdefault("GAN_FULL_ERROR", os.environ.get("HYDRA_FULL_ERROR", "0")) == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except KeyboardInterrupt:  # before training has begun
        sys.exit(130)
    except Exception as error:
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):  # that a library has made its own of
            sys.exit(130)
        message = None if wants_traceback else readable(error)
        if message is None:
            raise
        print(f"error: {shown(message)}", file=sys.stderr, flush=True)
        sys.exit(2)


def readable(error: BaseException) -> str | None:
    """One line for what a user can cause, None for what is a fault of the program."""
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, UserError):
            return one_line(str(cause).rpartition("UserError: ")[2])  # what stands before it, a worker process added
        # Whoever takes a tensor from a process that has just died finds its socket closed, before PyTorch sees the end.
        if "DataLoader worker" in str(cause) or isinstance(cause, ConnectionError | EOFError):
            died = f"a process that gathers batches died ({one_line(str(cause))})"
            return f"{died}; if memory was short, take fewer data.num_workers; go on with resume="
    for cause in chain:
        if isinstance(cause, MissingConfigException):
            return missing(cause)
        if isinstance(cause, InstantiationException):
            return (
                one_line(str(chain[-1])) + f" (full_key: {cause.args[0].splitlines()[-1].removeprefix('full_key: ')})"
            )
        if isinstance(cause, HydraException | OmegaConfBaseException):
            return unknown_option(str(cause)) or unfit(str(cause)) or one_line(str(cause))
        if "does not have a deterministic implementation" in str(cause):
            return one_line(str(cause).split(", but you set")[0]) + "; trainer.deterministic=warn goes on all the same"
        if "loading state_dict" in str(cause):
            return "the checkpoint comes from another model: " + one_line(str(cause).split("\n\t")[1])
        if type(cause).__name__ == "MisconfigurationException":
            return one_line(str(cause))
        if isinstance(cause, OSError):
            return of_system(cause)
    return None


def causes(error: BaseException | None) -> Iterable[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an exception raised again can be in its own context
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def missing(error: MissingConfigException) -> str:
    """`model=dcgn: there is no such model; ...` from Hydra's page of search paths."""
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    if group.startswith("hydra"):
        return f"{group}={name}: not installed; pip install -e '.[sweep]' (optuna) or '.[slurm]' (submitit)"
    return f"{group}={name}: there is no such {group}; {did_you_mean(name, error.options or [])}"


def unknown_option(message: str) -> str | None:
    """`data.sise: no such option; ...` from what Hydra says of a key that is not there."""
    found = re.search(r"Could not (?:override|append to config|delete from config).*?'([^']+)'", message)
    group = re.search(r"Could not override '([^']+)'\.\s*No match in the defaults list", message)
    if not found:
        return None
    key = found.group(1).split("=")[0].lstrip("+~")
    if group:
        return f"{key}: no such group; {did_you_mean(key, [path.name for path in CONF.iterdir() if path.is_dir()])}"
    return f"{key}: no such option; {did_you_mean(key, chosen_options())}"


def unfit(message: str) -> str | None:
    """`penalty.patch_nce.width is taken from ...` where a part takes an option that another lacks."""
    wanted, by = re.search(r"Interpolation key '([^']+)' not found", message), re.search(r"full_key: (\S+)", message)
    if not (wanted and by):
        return None
    part, other = by[1].split(".")[0], wanted[1].split(".")[0]
    return f"{by[1]} is taken from {wanted[1]}, which there is not: this {part} and this {other} do not go together"


def chosen_options() -> list[str]:
    """Every option of the configuration that the command line's groups choose, dotted."""
    chosen = (re.fullmatch(r"(\w+)=(\w+|\[[\w,]*\])", word) for word in sys.argv[1:])
    groups = [word[0] for word in chosen if word and (CONF / word[1]).is_dir()]
    return [key for key in options(groups) if not key.startswith("hydra.")]


def one_line(text: str) -> str:
    return " ".join(text.split())
