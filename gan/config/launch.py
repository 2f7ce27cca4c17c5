"""Start a run: Hydra's job for a training, the record of the run, and errors in one line. No torch at import."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from gan.config import paths, resume
from gan.config.compose import check_options, options, to_plain
from gan.config.early_checks import describe_foreign
from gan.config.overrides import is_group, stored, value_of, without
from gan.config.secrets import words_of
from gan.runs import lock, run_folder
from gan.utils import processes
from gan.utils.code import advice, git_revision
from gan.utils.errors import UserError, child_words, describe_os_error, did_you_mean, install, to_line
from gan.utils.option_values import without_home
from gan.utils.output import print_error, print_page
from gan.utils.processes import global_rank, is_child


def launch(main: Callable[[], Any], words: list[str]) -> None:
    """Run a `@hydra.main` function with the words of a command line.

    Before that, answer --help without importing torch, or create and lock the run folder.
    """
    if "--help" in words or "-h" in words:
        print_page(paths.help_page())
        return
    before = sys.argv[1:]
    # Lightning ends the child processes with SIGTERM, also those that wait in a collective and run no Python.
    with nullcontext() if is_child() else processes.termination_as_exit(), lock.removed_unless_trained():
        if not is_child():
            words = resume.prepare(words)
        sys.argv[1:] = [*(f"--config-dir={folder}" for folder in paths.own()), *words]  # Hydra reads them
        try:
            main()
        finally:
            sys.argv[1:] = before
            lock.release()


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
            raise  # to Hydra: `gan.config.sweep` prints it, and the next job starts
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):  # a library may wrap it
            sys.exit(130)
        message = None if wants_traceback else message_of(error)
        if message is None:
            raise
        from gan.models.address import with_addresses

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
            return to_line(str(cause).rpartition("UserError: ")[2])  # without the prefix that a worker process adds
        # If a process has just died, receiving its tensor fails with a closed socket before PyTorch reports the death.
        if "DataLoader worker" in str(cause) or isinstance(cause, ConnectionError | EOFError):
            died = f"a worker process of the data loader died ({to_line(str(cause))})"
            return f"{died}; if memory was short, use fewer data.num_workers; continue with resume="
    for cause in chain:
        if isinstance(cause, MissingConfigException):
            return missing_file(cause)
        if isinstance(cause, InstantiationException):
            key = cause.args[0].splitlines()[-1].removeprefix("full_key: ")
            module = chain[-1].name if isinstance(chain[-1], ModuleNotFoundError) else None
            return f"{to_line(str(chain[-1]))} (full_key: {key})" + (f"; {advice(module)}" if module else "")
        if "Config group override must be a string or a list" in str(cause):
            return "a group is set to null; choose none, or [] for a group with several parts"
        if isinstance(cause, HydraException | OmegaConfBaseException):
            return unknown_option(str(cause)) or missing_interpolation(str(cause)) or to_line(str(cause))
        if "does not have a deterministic implementation" in str(cause):
            return to_line(str(cause).split(", but you set")[0]) + "; set trainer.deterministic=warn to continue anyway"
        if "loading state_dict" in str(cause):
            return "the checkpoint belongs to another model: " + to_line(str(cause).split("\n\t")[1])
        if type(cause).__name__ == "MisconfigurationException":
            return to_line(str(cause))
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
    """Return a line such as `data.sise: no such option; ...` for Hydra's message about an unknown key; else None."""
    named = re.search(r"Could not (?:override|append to config|delete from config).*?'([^']+)'", message)
    if not named:
        return None
    key = named.group(1).split("=")[0].lstrip("+~")
    if foreign := describe_foreign(key, value_of(sys.argv[1:], key)):
        return foreign
    if "No match in the defaults list" in message:
        return f"{key}: no such group; {did_you_mean(key, paths.groups())}"
    chosen = (re.fullmatch(r"(\w+)=(\w+|\[[\w,]*\])", word) for word in sys.argv[1:])
    known = options([word[0] for word in chosen if word and is_group(word[1])])
    return f"{key}: no such option; {did_you_mean(key, [key for key in known if not key.startswith('hydra.')])}"


def missing_interpolation(message: str) -> str | None:
    """Return a line for a computed option that needs an option which the chosen parts lack; None for other messages."""
    wanted, by = re.search(r"Interpolation key '([^']+)' not found", message), re.search(r"full_key: (\S+)", message)
    if not (wanted and by):
        return None
    part, other = by[1].split(".")[0], wanted[1].split(".")[0]
    return f"{by[1]} needs {wanted[1]}, which does not exist: this {part} does not support this {other}"


# ---- inside Hydra's job

PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "numpy", "pillow", "tensorboard", "retro-gan")


def start_run(cfg: DictConfig) -> Path:
    """Set cfg.resume to a checkpoint or None, record the run, and return its folder."""
    check_options(cfg)
    job = HydraConfig.get()
    sweeping = job.mode is RunMode.MULTIRUN
    isolate_job()
    run = Path(job.runtime.output_dir)
    if sweeping:
        if not is_child():
            lock.start_job(run)
        lock.acquire(run)
    if cfg.resume == "auto":  # a job of a sweep, in its own folder
        checkpoint = resume.checkpoint_to_resume(run, cfg)
        with open_dict(cfg):
            cfg.resume = str(checkpoint) if checkpoint else None
    if global_rank() == 0 or (sweeping and not is_child()):
        write_record(cfg, run, words_of(job.overrides.task))  # type: ignore[arg-type]
    return run


def isolate_job() -> None:
    """Set sys.argv, with which Lightning starts further processes: they train only this job, not the whole sweep.

    Hydra has its words (Lightning #11300); the others are added.
    """
    job = HydraConfig.get()
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if job.mode is RunMode.MULTIRUN:
        for key in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(key, None)  # set by the previous job
        words = words_of(job.overrides.task)  # type: ignore[arg-type]
        with read_write(job):  # type: ignore[arg-type]
            job.run.dir = job.runtime.output_dir
    sys.argv[1:] = [*child_words(), *words]


def write_record(cfg: DictConfig, run: Path, overrides: list[str]) -> None:
    """Write a line of environment.jsonl, then overrides.yaml and config.yaml: the order of `run_folder.RECORD`."""
    line = {
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": [without_home(sys.argv[0]), *map(stored, sys.argv[1:])],
        "git": git_revision(),
        "python": platform.python_version(),
        "packages": {name: version_of(name) for name in PACKAGES},
        "machine": platform.platform(),
        "cores": os.cpu_count(),
    }
    with open(run / run_folder.ENVIRONMENT, "a") as file:
        file.write(json.dumps(line) + "\n")
    words = without(overrides, "resume", "resume_force", "remote")
    resume.write_yaml(run / run_folder.OVERRIDES, [stored(word) for word in words])
    resume.write_yaml(run / run_folder.CONFIG, to_plain(cfg))


def version_of(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
