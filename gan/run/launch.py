"""Start Hydra for a training, and print its errors. No torch at import."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from traceback import walk_tb
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from gan.common import processes
from gan.common.code import advice
from gan.common.errors import UserError, describe_os_error, did_you_mean, install, to_line
from gan.common.output import print_error, print_page
from gan.common.processes import is_child
from gan.run import paths
from gan.run.address import with_addresses
from gan.run.config import ONE, options
from gan.run.foreign_words import describe_foreign
from gan.run.lock import release
from gan.run.overrides import is_group, value_of
from gan.run.untrained import removed_unless_trained


def launch(main: Callable[[], Any], words: list[str]) -> None:
    """Run a `@hydra.main` function with the words of a command line.

    Before that, answer --help without importing torch, or create and lock the run folder.
    """
    if "--help" in words or "-h" in words:
        from gan.run.help import help_page

        print_page(help_page())
        return
    before = sys.argv[1:]
    # Lightning ends the child processes with SIGTERM, also those that wait in a collective and run no Python.
    with nullcontext() if is_child() else processes.termination_as_exit(), removed_unless_trained():
        if not is_child():
            from gan.run.resume import prepare

            words = prepare(words)
        sys.argv[1:] = [*(f"--config-dir={folder}" for folder in paths.own()), *words]  # Hydra reads them
        try:
            main()
        finally:
            sys.argv[1:] = before
            release()


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print errors that users can fix in one line and exit with code 2; HYDRA_FULL_ERROR=1 shows the traceback.

    Use it around the program and inside Hydra's job, because Hydra adds lines to exceptions that leave the job.
    """
    # Set HYDRA_FULL_ERROR, so that Hydra raises errors instead of printing them. The user's value is stored in
    # GAN_FULL_ERROR for the inner use and for child processes.
    wants_traceback = os.environ.setdefault("GAN_FULL_ERROR", os.environ.get("HYDRA_FULL_ERROR", "0")) == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except KeyboardInterrupt:  # before training
        sys.exit(130)
    except Exception as error:
        if in_sweep():
            raise  # to Hydra: `gan.run.sweep` prints it, and the next job starts
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):  # a library may wrap it
            sys.exit(130)
        message = None if wants_traceback else message_of(error)
        if message is None:
            raise
        print_error(with_addresses(to_line(message)))
        sys.exit(2)


def in_sweep() -> bool:
    """Return whether this is called inside a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def message_of(error: BaseException) -> str | None:
    """Return a line for an error that users can fix; None for other errors, which are bugs."""
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, UserError):
            return one_line(str(cause).rpartition("UserError: ")[2])  # without the prefix that a worker process adds
        # If a process has just died, receiving its tensor fails with a closed socket before PyTorch reports the death.
        if "DataLoader worker" in str(cause) or isinstance(cause, ConnectionError | EOFError):
            died = f"a worker process of the data loader died ({one_line(str(cause))})"
            return f"{died}; if memory was short, use fewer data.num_workers; continue with resume="
    for cause in chain:
        if isinstance(cause, MissingConfigException):
            return missing_file(cause)
        if isinstance(cause, InstantiationException):
            key = f" (full_key: {cause.args[0].splitlines()[-1].removeprefix('full_key: ')})"
            return one_line(str(chain[-1])) + key + unknown_module(chain[-1])
        if "Config group override must be a string or a list" in str(cause):
            return null_group(sys.argv[1:])
        if isinstance(cause, HydraException | OmegaConfBaseException):
            known = (
                several_values(str(cause))
                or unknown_option(str(cause))
                or missing_interpolation(str(cause))
                or missing_value(str(cause))
                or not_a_list(str(cause))
            )
            return known or one_line(str(cause))
        if "does not have a deterministic implementation" in str(cause):
            return (
                one_line(str(cause).split(", but you set")[0]) + "; set trainer.deterministic=warn to continue anyway"
            )
        if isinstance(cause, AssertionError) and raised_in(cause).startswith("optuna.storages."):
            return "hydra.sweeper.storage: needs an older SQLAlchemy; pip install 'SQLAlchemy<2' 'alembic<1.14'"
        if "loading state_dict" in str(cause):
            return "the checkpoint belongs to another model: " + one_line(str(cause).split("\n\t")[1])
        if type(cause).__name__ == "MisconfigurationException":
            return one_line(str(cause))
        if isinstance(cause, OSError):
            return describe_os_error(cause)
    return None


def causes(error: BaseException | None) -> Iterable[BaseException]:
    """Yield an exception and the chain of its causes or contexts."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # a re-raised exception can be its own context
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def raised_in(error: BaseException) -> str:
    """Return the name of the module that raised an exception; "" if it was not raised."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")) if frames else ""


EXTRAS = {"submitit": "slurm", "ray": "ray", "optuna": "sweep"}  # of plugins of Hydra, by a word of their names


def missing_file(error: MissingConfigException) -> str:
    """Return a line such as `model=dcgn: no such model; ...` for a group that is set to a missing file."""
    missing = error.missing_cfg_file or ""
    if missing.startswith("data/") and (os.path.exists(missing[5:]) or missing.count("/") > 1):
        return f"data={missing[5:]}: is a path, not the name of a data source; write data.root={missing[5:]}"
    group, _, name = missing.rpartition("/")
    if group.startswith("hydra"):
        extra = next((extra for word, extra in EXTRAS.items() if word in name), None)
        how = install(extra) if extra else "install the plugin of Hydra that has it"
        return f"{group}={name}: not installed; {how}"
    hint = did_you_mean(name, paths.group_names(group))  # for an element of a list, Hydra's error has no names
    if hint.startswith("choose") and not paths.own():
        hint += "; for your own, add --config-dir DIR"
    return f"{group}={name}: no such {group}; {hint}"


def unknown_option(message: str) -> str | None:
    """Return a line such as `data.sise: no such option; ...` for Hydra's message about an unknown key.

    Return None for other messages.
    """
    found = re.search(r"Could not (?:override|append to config|delete from config).*?'([^']+)'", message)
    group = re.search(r"Could not override '([^']+)'\.\s*No match in the defaults list", message)
    if not found:
        return None
    key = found.group(1).split("=")[0].lstrip("+~")
    if foreign := describe_foreign(key, value_of(sys.argv[1:], key)):
        return foreign
    if group:
        return f"{key}: no such group; {did_you_mean(key, paths.groups())}"
    return f"{key}: no such option; {did_you_mean(key, chosen_options())}"


def unknown_module(error: BaseException) -> str:
    """Return advice for a module that is not installed, as the end of a message; "" for other errors."""
    return f"; {advice(error.name)}" if isinstance(error, ModuleNotFoundError) and error.name else ""


def null_group(words: list[str]) -> str:
    """Return a line for a group that is set to null."""
    key = next((key for key, _, value in (word.partition("=") for word in words) if value == "null"), "GROUP")
    if key not in ONE:
        return f"{key}=null: use {key}=[] for none"
    names = paths.group_names(key)
    return f"{key}=null: " + (f"use {key}=none" if "none" in names else f"choose from {', '.join(names)}")


def several_values(message: str) -> str | None:
    """Return a line for Hydra's message about values that are separated by commas; None for other messages."""
    found = re.search(r"Ambiguous value for argument '(\S+?)=(\S+)'", message)
    return f"{found[1]}={found[2]}: use {found[1]}=[{found[2]}] for a list, or add -m for a sweep" if found else None


def missing_interpolation(message: str) -> str | None:
    """Return a line for a computed option that needs an option which the chosen parts lack; None for other messages."""
    wanted, by = re.search(r"Interpolation key '([^']+)' not found", message), re.search(r"full_key: (\S+)", message)
    if not (wanted and by):
        return None
    part, other = by[1].split(".")[0], wanted[1].split(".")[0]
    return f"{by[1]} needs {wanted[1]}, which does not exist: this {part} does not support this {other}"


def missing_value(message: str) -> str | None:
    """Return a line for an option without a default; None for other messages."""
    found = re.search(r"Missing mandatory value: (\S+)", message)
    if not found:
        return None
    return f"{found[1]} is missing; add {found[1]}=VALUE"


def not_a_list(message: str) -> str | None:
    """Return a line for a list in the place of several options, such as freeze=[]; None for other messages."""
    found = re.fullmatch(r"Error merging override ((\S+?)=\[.*)", one_line(message))
    return f"{found[1]}: {found[2]} is not a list; set one of its options, {found[2]}.NAME=VALUE" if found else None


def chosen_options() -> list[str]:
    """Return the dotted options of the configuration for the groups on the command line."""
    chosen = (re.fullmatch(r"(\w+)=(\w+|\[[\w,]*\])", word) for word in sys.argv[1:])
    groups = [word[0] for word in chosen if word and is_group(word[1])]
    return [key for key in options(groups) if not key.startswith("hydra.")]


def one_line(text: str) -> str:
    """Return the text in one line: whitespace is replaced by single spaces."""
    return " ".join(text.split())
