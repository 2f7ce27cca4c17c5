"""A sweep: its folder, a line per job, and a table sorted by the objective, also as results.csv. No torch.

Hydra calls `Summary`. Jobs may run in other processes and on other machines at the same time, so each job writes a file
of its own in ROWS. results.csv is made from all of them, last at the end of the sweep.
"""

from __future__ import annotations

import csv
import io
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

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan.config.compose import compose
from gan.config.init_from import with_networks
from gan.config.mistakes import message_of
from gan.config.new_run import checked, create_folder, folder_of, with_data, write_yaml
from gan.config.overrides import first_alternative, key_of, stored, value_of, without
from gan.runs import lock
from gan.runs.comparison import read_row, read_rows
from gan.runs.run_folder import RESULTS, ROWS
from gan.utils.errors import Diverged, UserError, to_line
from gan.utils.files import without_formula, write_atomically, write_json
from gan.utils.option_values import quote, short_name
from gan.utils.output import aligned, duration, first_few, one_line, print_line, truncated
from gan.utils.processes import global_rank
from gan.utils.untrusted import read_yaml

FINISHED, DIVERGED, FAILED, UNFINISHED = "finished", "diverged", "failed", "not finished"
MAX_CELL = 40  # characters of an option or an error in the printed table
MAX_DIGITS = 8  # of an option in the printed table
MAX_ROWS = 30  # of the printed table
MAX_CHOICES = 6  # values of an option in the header


def prepare(typed: list[str]) -> list[str]:
    """Return the overrides of a sweep, with its folder and `Summary`.

    The folder is new, or with resume=auto the newest folder of a sweep with the same overrides.
    """
    typed = with_data(typed)
    resume, remote = value_of(typed, "resume"), value_of(typed, "remote")
    if resume not in (None, "null", "auto"):
        raise UserError(f"resume={resume}: to resume a sweep, use resume=auto")
    if remote not in (None, "null"):
        raise UserError(f"remote={remote}: a sweep has one folder for each job, but this is one URL; leave it out")
    named = value_of(typed, "hydra.sweep.dir") is not None
    first = checked([first_alternative(word) for word in typed])
    if first.init_from and all(first_alternative(word) == word for word in typed if key_of(word) == "init_from"):
        typed = with_networks(typed, first)
    folder = folder_of(compose([word for word in typed if key_of(word) in ("hydra.sweep.dir", "debug")]), "sweep")
    overrides = sorted(map(stored, without(typed, "hydra.sweep.dir", "resume")))
    before = earlier_folder([folder / lock.SWEEP] if named else folder.parent.glob(f"*/{lock.SWEEP}"), overrides)
    if resume == "auto" and before is not None:
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
    """Prints and records the jobs of a sweep. A job that fails gets the objective inf, and the next job starts.

    Attributes:
        total: number of jobs; None if the sweeper decides it.
        swept: the options that differ between jobs.
    """

    def __init__(self) -> None:
        self.total: int | None = None
        self.swept: list[str] = []
        self.started = 0.0

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        choices = swept_options(config)
        self.total, self.swept = num_jobs(config, choices), list(choices)
        jobs = "jobs" if self.total is None else "1 job" if self.total == 1 else f"{self.total:,} jobs"
        options = "; ".join(f"{name}: {first_few(values, MAX_CHOICES)}" for name, values in choices.items())
        print_line(one_line(f"sweep of {jobs} in {config.hydra.sweep.dir}; {options or 'no options differ'}"))
        with suppress(OmegaConfBaseException):  # an option that only the jobs set
            print_line(one_line(f"objective to minimize: {config.objective} ({config.objective_mode})"))

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        if global_rank() == 0:
            self.started = time.monotonic()
            print_line(self.title(config))
            self.write(config, status=UNFINISHED)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        status, value, error = FINISHED, job_return._return_value, ""
        if job_return.status is JobStatus.FAILED:
            status, value, error = FAILED, math.inf, describe(job_return._return_value)
            if isinstance(job_return._return_value, Diverged):
                status = DIVERGED
            # Hydra's sweepers raise the error after the last job, or after this one, and the table would be lost. The
            # error also keeps the tensors of its frames.
            job_return.status, job_return.return_value = JobStatus.COMPLETED, math.inf
        if global_rank() == 0:
            row = self.write(config, status=status, objective=finite(value), error=error)
            said = error if error else f"{objective_name(config)} {number(row['objective'])}"
            print_line(f"{self.title(config)}: {said} ({duration(row['seconds'])})")

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        rows = write_results(folder)
        if not rows:
            return
        print_line("\n".join(["", *table(rows)]))
        curves = shlex.quote(str(folder / "curves.png"))
        print_line(f"results: {folder / RESULTS}; compare with: gan compare {shlex.quote(str(folder))} --out {curves}")
        if any(row["status"] == FAILED for row in rows):
            sys.exit(2)

    def title(self, config: DictConfig) -> str:
        of = f" of {self.total}" if self.total is not None else ""
        own = self.options(config)
        options = ", ".join(f"{short_name(name, list(own))}={rounded(value)}" for name, value in own.items())
        return one_line(f"job {config.hydra.job.num + 1}{of}{' with ' * bool(options)}{options}")

    def options(self, config: DictConfig) -> dict[str, str]:
        """Return the options of a job that differ from those of other jobs, as typed."""
        words = {key_of(word): word.partition("=")[2] for word in config.hydra.overrides.task}
        return {name: words[name] for name in self.swept if name in words}

    def write(self, config: DictConfig, **values: Any) -> dict[str, Any]:
        """Write the row of a job and results.csv, and return the row. Seconds include those of earlier starts."""
        folder, before = Path(config.hydra.sweep.dir), read_row(row_path(config))
        spent = before["seconds"] if before and before["options"] == self.options(config) else 0.0
        if values["status"] != UNFINISHED:
            spent += time.monotonic() - self.started
        row = {
            "job": int(config.hydra.job.num),
            "options": self.options(config),
            "name": objective_name(config),
            "objective": None,
            "seconds": spent,
            "error": "",
            "run": os.path.relpath(config.hydra.runtime.output_dir, folder),
            **values,
        }
        write_json(row_path(config), row)
        write_results(folder)
        return row


def swept_options(config: DictConfig) -> dict[str, list[str]]:
    """Return the options that differ between jobs, with their values as text: {"loss": ["hinge", "minimax"]}."""
    hydra = GlobalHydra.instance()
    parser = OverridesParser.create(hydra.config_loader() if hydra.is_initialized() else None)
    params = config.hydra.sweeper.get("params") or {}
    found: dict[str, list[str]] = {}
    for word in [*(f"{name}={params[name]}" for name in params), *config.hydra.overrides.task]:
        override = parser.parse_override(word)
        if override.is_sweep_override():
            name = key_of(word)
            found[name] = [word.partition("=")[2]]
            with suppress(HydraException, NotImplementedError):  # an interval has no list of values
                if override.is_discrete_sweep():
                    found[name] = list(override.sweep_string_iterator())
        else:
            found.pop(key_of(word), None)  # a value that is typed replaces the sweeper's range
    return found


def num_jobs(config: DictConfig, choices: dict[str, list[str]]) -> int | None:
    """Return the number of jobs: all combinations, or the trials of Optuna; None if another sweeper decides it."""
    sweeper = config.hydra.sweeper
    if sweeper._target_.endswith("BasicSweeper"):
        return math.prod(map(len, choices.values()))
    grid = str(OmegaConf.select(config, "hydra.sweeper.sampler._target_")).endswith("GridSampler")
    return None if grid else sweeper.get("n_trials")


def describe(error: Any) -> str:
    """Return a line for the error of a job; print the traceback of a bug, or of any error if the user wants it."""
    message = message_of(error)
    if message is None or os.environ.get("GAN_FULL_ERROR") == "1":
        traceback.print_exception(error)
    return to_line(message or f"{type(error).__name__}: {error}")


def objective_name(config: DictConfig) -> str:
    with suppress(OmegaConfBaseException):
        return str(config.objective)
    return "objective"


def finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


# ---- rows of jobs


def row_path(config: DictConfig) -> Path:
    """Return the file with the row of a job."""
    return Path(config.hydra.sweep.dir) / ROWS / f"{int(config.hydra.job.num)}.json"


def write_results(sweep: Path) -> list[dict[str, Any]]:
    """Write results.csv from the rows of all jobs, and return the rows."""
    rows, text = read_rows(sweep), io.StringIO()
    csv.writer(text).writerows(map(without_formula, line) for line in cells(rows))
    write_atomically(sweep / RESULTS, lambda file: file.write(text.getvalue().encode()))
    return rows


def cells(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """Return the headings and rows of results.csv."""
    options = list(dict.fromkeys(name for row in rows for name in row["options"]))
    name = next((row["name"] for row in rows), "objective")
    body = []
    for row in rows:
        own = [row["options"].get(option, "") for option in options]
        body += [[row["run"], *own, row["objective"], round(row["seconds"], 1), row["status"], row["error"]]]
    return [["run", *options, name, "seconds", "status", "error"], *body]


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the printed table."""
    first, *body = cells(rows)
    run, *names, objective, _, status, error = first
    titles = [run, *(short_name(name, names) for name in names), objective, "time", status, error]
    headings = [truncated(one_line(title), MAX_CELL) for title in titles]
    lines = []
    for run, *options, value, seconds, ended, why in body[:MAX_ROWS]:
        texts = [run, *map(rounded, options), number(value), duration(seconds), ended, why]
        lines.append([truncated(one_line(text), MAX_CELL) for text in texts])
    if not any(row["error"] for row in rows):
        headings, lines = headings[:-1], [line[:-1] for line in lines]
    return aligned(headings, lines) + [f"and {len(body) - MAX_ROWS:,} more jobs"] * (len(body) > MAX_ROWS)


def rounded(value: str) -> str:
    """Return a long number with four digits; other text unchanged."""
    try:
        return f"{float(value):.4g}" if len(value) > MAX_DIGITS else value
    except ValueError:
        return value
