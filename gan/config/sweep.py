"""A sweep: its folder, a line per job, a table of all jobs, and a file with the errors of jobs. No torch.

Hydra calls `Summary`. `gan compare` compares the jobs, which are runs in the folder of the sweep.
"""

from __future__ import annotations

import math
import os
import shlex
import sys
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from gan import scores
from gan.config import search
from gan.config.compose import compose
from gan.config.init_from import with_networks
from gan.config.mistakes import message_of
from gan.config.new_run import checked_configuration, create_folder, folder_of, with_data, write_yaml
from gan.config.overrides import first_alternative, key_of, stored, value_of, without, words_of
from gan.runs import comparison, lock, table
from gan.utils.errors import Diverged, UserError, to_line, writing
from gan.utils.option_values import quote, short_name
from gan.utils.output import duration, one_line, print_line
from gan.utils.processes import global_rank
from gan.utils.untrusted import read_yaml

RESULTS = "results.csv"  # in the folder of a sweep: a row per job


def words_of_sweep(typed: list[str]) -> list[str]:
    """Return the overrides of a sweep, with its folder and `Summary`.

    The folder is new, or with resume=auto the newest folder of a sweep with the same overrides that no other process
    uses. The process locks it to its end: the jobs in it, and the trials of a search, are those of one process.
    """
    search.register()
    typed = with_data(typed)
    resume, remote = value_of(typed, "resume"), value_of(typed, "remote")
    if resume not in (None, "null", "auto"):
        raise UserError(f"resume={resume}: to resume a sweep, use resume=auto")
    if remote not in (None, "null"):
        raise UserError(f"remote={remote}: a sweep has one folder for each job, but this is one URL; leave it out")
    named = value_of(typed, "hydra.sweep.dir") is not None
    first = checked_configuration([first_alternative(word) for word in typed])
    search.Search.direction = "maximize" if scores.sign(first.objective, first) < 0 else "minimize"
    swept = {key_of(word) for word in typed if first_alternative(word) != word}
    if first.init_from and not swept & {"init_from", "experiment", "model"}:
        typed = with_networks(typed, first)
    folder = folder_of(compose([word for word in typed if key_of(word) in ("hydra.sweep.dir", "debug")]), "sweep")
    overrides = sorted(map(stored, without(typed, "hydra.sweep.dir", "resume")))
    others = (record for record in folder.parent.glob(f"*/{lock.SWEEP}") if not lock.is_held(record.parent))
    before = earlier_folder([folder / lock.SWEEP] if named else others, overrides)
    if resume == "auto" and before is not None:
        lock.acquire(before)
        print_line(f"resuming {before}")
        folder = before
    else:
        folder = create_folder(folder, named)
        write_yaml(folder / lock.SWEEP, overrides)
    summary = f"+hydra.callbacks.sweep._target_={Summary.__module__}.{Summary.__name__}"
    return [*without(typed, "hydra.sweep.dir"), f"hydra.sweep.dir={quote(folder)}", summary]


def earlier_folder(records: Iterable[Path], overrides: list[str]) -> Path | None:
    """Return the newest folder of a sweep that was recorded with these overrides; None if there is none."""
    for record in sorted(filter(Path.exists, records), key=lambda path: path.stat().st_mtime, reverse=True):
        with suppress(UserError):  # the record cannot be read
            if read_yaml(record) == overrides:
                return record.parent
    return None


class Summary(Callback):
    """Prints a line per job of a sweep. A job that fails gets the worst objective, and the next job starts."""

    def __init__(self) -> None:
        self.typed: list[str] = []  # overrides of the sweep; others that a job has are its options
        self.started = 0.0

    def on_multirun_start(self, config: DictConfig, **_: object) -> None:
        self.typed = words_of(config.hydra.overrides.task)
        errors_of(config).unlink(missing_ok=True)  # of an earlier start
        print_line(f"sweep in {config.hydra.sweep.dir}")

    def on_job_start(self, config: DictConfig, **_: object) -> None:
        self.started = time.monotonic()
        print_line(self.title(config))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: object) -> None:
        value = job_return._return_value
        failed = job_return.status is JobStatus.FAILED
        text = describe_failure(value) if failed else f"{config.objective} {value:.4g}"
        line = one_line(f"{self.title(config)}: {text} ({duration(time.monotonic() - self.started)})")
        print_line(line)
        if failed:
            # Hydra's sweepers raise the error after the last job, or after this one, and later jobs would be lost. The
            # error also keeps the tensors of its frames.
            worst = scores.sign(config.objective, config) * math.inf
            job_return.status, job_return.return_value = JobStatus.COMPLETED, worst
        if failed and not isinstance(value, Diverged) and global_rank() == 0:
            with open(errors_of(config), "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{line}\n")

    def on_multirun_end(self, config: DictConfig, **_: object) -> None:
        folder = Path(config.hydra.sweep.dir)
        with suppress(UserError):  # no job has a valid record
            if global_rank() == 0:
                print_results(folder)
        curves = shlex.quote(str(folder / "curves.png"))
        print_line(f"compare the jobs with: gan compare {shlex.quote(str(folder))} --out {curves}")
        if errors_of(config).exists():
            print_line(f"jobs that failed: {errors_of(config)}")
            sys.exit(2)

    def title(self, config: DictConfig) -> str:
        """Return the number of a job and the options that the sweep varies, with short names."""
        words = [word for word in words_of(config.hydra.overrides.task) if word not in self.typed]
        names = list(map(key_of, words))
        varied = [f"{short_name(key_of(word), names)}={word.partition('=')[2]}" for word in words]
        return f"job {config.hydra.job.num + 1}{' with ' * bool(varied)}{', '.join(varied)}"


def print_results(folder: Path) -> None:
    """Print the table of the jobs, the best one first, and write results.csv; raise UserError if no record is valid."""
    runs = comparison.find_trained([str(folder)], or_failed=True)
    rows = table.of_runs(runs)
    table.print_text(rows, table.over_seeds(runs))
    with writing(folder / RESULTS):
        (folder / RESULTS).write_text(table.to_csv(rows), "utf-8")


def errors_of(config: DictConfig) -> Path:
    """Return the file with a line for each job that failed. Jobs may run in other processes or on other machines."""
    return Path(config.hydra.sweep.dir) / "errors.txt"


def describe_failure(error: Any) -> str:
    """Return a line for the error of a job; print the traceback of a bug, or of any error if the user wants it."""
    message = message_of(error)
    if message is None or os.environ.get("GAN_FULL_ERROR") == "1":
        traceback.print_exception(error)
    return to_line(message or f"{type(error).__name__}: {error}")
