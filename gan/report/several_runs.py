"""The report of several runs, such as those of a sweep, and the choice between it and the report of one run."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan.report import one_run
from gan.report.charts import Line, Panel
from gan.report.facts import Facts, public, read_facts
from gan.report.one_run import Table, is_fraction, meaning, number, title_of
from gan.report.page import Header, Part, Section, render
from gan.runs.comparison import cell, differing_options, heading, labels
from gan.runs.metrics import read_rows
from gan.runs.run_folder import ROWS
from gan.utils.errors import UserError
from gan.utils.output import counted, duration, first_few

MAX_RUNS = 300
MAX_ROWS = 200
MAX_LINES = 32  # runs in a chart: the best ones
MAX_GRIDS = 24
MAX_COLUMNS = 12  # options, and scores


def build(given: Sequence[Path], runs: Sequence[Path]) -> bytes:
    """Return a report as HTML: of the run, or for several runs a comparison.

    Args:
        given: the folders as typed, run folders or folders of runs.
        runs: the run folders in them.

    Raises:
        UserError: the configuration of the run, or of all runs, cannot be read.
    """
    if len(runs) == 1:
        return one_run.run_page(read_facts(runs[0]))
    readable, notes = [], []
    if len(runs) > MAX_RUNS:
        notes.append(f"{len(runs) - MAX_RUNS:,} more runs are left out; give fewer runs.")
    for run in runs[:MAX_RUNS]:
        try:
            readable.append(read_facts(run))
        except UserError as error:
            notes.append(f"{run.name} is left out: its configuration cannot be read.")
            reason = error
    if not readable:
        raise reason
    comparison = Comparison(readable)
    sections = [comparison.table(failed_jobs(given)), comparison.curves(), comparison.grids()]
    notes += [f"{facts.name}: {note}" for facts in readable for note in facts.notes]
    if notes:
        sections.append(Section("notes", "Notes", [Part("list", notes[:50])], "What this report leaves out, and why."))
    title = first_few([os.path.basename(os.path.abspath(path)) for path in given], 3)
    return render(comparison.header("Sweep" if len(given) == 1 else "Comparison", title), sections)


def failed_jobs(given: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the rows of the jobs of sweeps that failed or diverged."""
    rows = [row for path in given if (path / ROWS).is_dir() and not (path / ROWS).is_symlink()
            for row in read_rows(path)]  # fmt: skip
    return [row for row in rows if row["error"]]


class Comparison:
    """The sections about runs, the best first by the objective of the first run."""

    def __init__(self, given: Sequence[Facts]) -> None:
        self.objective = given[0].objective
        self.runs = sorted(given, key=self.score)
        self.options = differing_options([facts.run for facts in self.runs])
        self.names = [facts.name for facts in self.runs]
        if len(set(self.names)) < len(self.names) or any(name.isdecimal() for name in self.names):  # say nothing
            self.names = labels([facts.shown for facts in self.runs], self.options)

    def score(self, facts: Facts) -> float:
        return facts.log.best.get(self.objective, math.inf)

    def header(self, kind: str, title: str) -> Header:
        seconds = sum(facts.log.seconds for facts in self.runs if facts.log.seconds >= 0)
        return Header(kind, title, f"{counted(len(self.runs), 'run')}, sorted by {self.objective}", [
            ("options that differ", first_few([heading(name, self.options) for name in self.options], 4) or "none"),
            (f"best {meaning(self.objective)[0]}", number(self.score(self.runs[0]))),
            ("of the run", self.names[0]),
            ("training time, all runs", duration(seconds)),
        ])  # fmt: skip

    def ordered(self, names: set[str]) -> list[str]:
        return sorted(names, key=lambda name: (name != self.objective, name))

    def table(self, failed: Sequence[dict[str, Any]] = ()) -> Section:
        options = self.options[:MAX_COLUMNS]
        measured = self.ordered({name for facts in self.runs for name in facts.run.scores})[:MAX_COLUMNS]
        headings = ["run", *(heading(name, self.options) for name in options), *map(title_of, measured), "images",
                    "time", "status"]  # fmt: skip
        rows = []
        for facts in self.runs[:MAX_ROWS]:
            typed = [cell(name, facts.shown.option(name)) for name in options]
            scored = [number(facts.log.best.get(name)) for name in measured]
            time = duration(facts.log.seconds) if facts.log.seconds >= 0 else "–"
            rows.append([facts.name, *typed, *scored, f"{facts.log.images:,}", time, facts.status])
        parts = [Part("table", Table(headings, rows, left=1 + len(options)))]
        parts.append(Part("note", one_run.protocol_of_training(self.runs[0])))
        for what, left in (
            ("runs", len(self.runs) - MAX_ROWS),
            ("options differ and", len(self.options) - MAX_COLUMNS),
        ):
            if left > 0:
                parts.append(Part("note", f"{left:,} more {what} are left out; gan compare prints them."))
        if failed:
            jobs = [[f"job {row['job'] + 1}", ", ".join(f"{k}={public(v)}" for k, v in row["options"].items()),
                     row["status"], public(row["error"])] for row in failed[:MAX_ROWS]]  # fmt: skip
            parts += [Part("heading", "Jobs without a result"),
                      Part("table", Table(["job", "options", "status", "error"], jobs, left=4))]  # fmt: skip
        return Section("table", "Runs", parts, "One row per run, the best first, with the options that differ and the "
                       "scores at its best evaluation. ↓ lower is better, ↑ higher is better.")  # fmt: skip

    def curves(self) -> Section:
        """Return a panel for each score and for the losses, with all runs in one, and one legend."""
        shown = list(enumerate(self.runs[:MAX_LINES]))
        known = {name for _, facts in shown for name in facts.log.curves}
        panels = []
        for name in self.ordered({name for name in known if name.startswith(("eval/", "loss/"))})[: one_run.MAX_PANELS]:
            lines = [Line(self.names[n], facts.log.curves[name].points, n) for n, facts in shown
                     if name in facts.log.curves]  # fmt: skip
            is_score = name.startswith("eval/")
            title = title_of(name) if is_score else name.replace("loss/", "loss of the ")
            panels.append(Panel(title, lines, from_zero=is_score and is_fraction(name)))
        parts = one_run.chart(panels, together=True)
        if len(self.runs) > MAX_LINES:
            parts.append(Part("note", f"The {MAX_LINES} best runs are shown."))
        return Section("curves", "Curves", parts, "All runs in one chart per score. Compare them over minutes if "
                       "their speeds differ. ↓ lower is better, ↑ higher is better; losses have none.")  # fmt: skip

    def grids(self) -> Section:
        """Return the newest grid of each run."""
        with_grids = [(name, facts) for name, facts in zip(self.names, self.runs, strict=True) if facts.grids.grids]
        limit = min(one_run.MAX_GRID_BYTES, one_run.GRIDS_BYTES // max(1, len(with_grids[:MAX_GRIDS])))
        figures = []
        for name, facts in with_grids[:MAX_GRIDS]:
            seen, path = facts.grids.grids[-1]
            caption = f"{name}: {meaning(self.objective)[0]} {number(self.score(facts))}, {seen:,} images seen"
            figures += one_run.shots(facts, [(caption, path)], limit)
        parts = [Part("images", figures) if figures else Part("note", "No run has a grid yet.")]
        if len(with_grids) > MAX_GRIDS:
            parts.append(Part("note", f"The grids of {len(with_grids) - MAX_GRIDS:,} more runs are left out."))
        return Section("grids", "Grids", parts, "The newest grid of each run, from the same latents if the networks "
                       "take the same ones. The best run is first. Look for quality and for variety.")  # fmt: skip
