"""The report of several runs, such as those of a sweep."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan.common.errors import reason
from gan.common.output import counted, duration, first_few
from gan.data.decoding.reader import ImageError
from gan.run.comparison import cell, differing_options, heading, labels
from gan.run.run_folder import ROWS
from gan.run.sweep_rows import read_rows
from gan.sharing.report import scores
from gan.sharing.report.charts import IMAGES, MINUTES, Line, key, line_chart
from gan.sharing.report.facts import Facts
from gan.sharing.report.grids import embed
from gan.sharing.report.markup import Content, Html, join, lead, note, section, table, tag, text, tiles
from gan.sharing.report.page import axis_choice, page
from gan.sharing.report.parallel import MAX_AXES, parallel_coordinates
from gan.sharing.report.private import public
from gan.sharing.report.run_page import MAX_CHARTS, MAX_COMMAND, command_line

MAX_ROWS = 200
MAX_LINES = 32  # runs in a chart: the best ones
MAX_GRIDS = 24
MAX_COLUMNS = 12  # options, and scores
GRIDS_BYTES = 2_800_000  # of all grids together, before they become text
MAX_GRID_BYTES = 220_000


def runs_page(given: Sequence[Path], found: Sequence[Facts], notes: Sequence[str] = ()) -> bytes:
    """Return the report of several runs as HTML, the best first.

    Args:
        given: the folders as typed, run folders or folders of runs.
        notes: what is left out.
    """
    notes = [*notes, *(f"{facts.name}: {each}" for facts in found for each in facts.notes)]
    if any(facts.objective != found[0].objective for facts in found):
        notes.append(f"The runs have different objectives; all are sorted by {found[0].objective}.")
    comparison = compared(found)
    sections = [comparison.table(failed_jobs(given)), comparison.options_against_objective(), comparison.curves(),
                comparison.grids(notes), comparison.how(given)]  # fmt: skip
    if notes:
        shown = [tag("li", each) for each in notes[:50]]
        sections.append(section("notes", "Notes", lead("What this report leaves out, and why."), tag("ul", shown)))
    title = first_few([os.path.basename(os.path.abspath(path)) for path in given], 3)
    return page(f"{title} – report", comparison.header(title, given), sections)


def compared(found: Sequence[Facts]) -> Comparison:
    """Return the sections about runs, the best first by the objective of the first run."""
    objective = found[0].objective
    ordered = sorted(found, key=lambda facts: score_of(facts, objective))
    runs = [facts.run for facts in ordered]
    options = differing_options(runs)
    names = [facts.name for facts in ordered]
    if len(set(names)) < len(names) or any(name.isdecimal() for name in names):  # names that say nothing
        names = labels([facts.shown for facts in ordered], options)
    return Comparison(objective, ordered, options, names)


def score_of(facts: Facts, objective: str) -> float:
    """Return the best value of the objective; inf if there is none, so that such runs are last."""
    value = facts.log.best.get(objective, math.inf)
    return value if math.isfinite(value) else math.inf


def failed_jobs(given: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the rows of the jobs of sweeps that failed or diverged."""
    rows = [row for path in given if (path / ROWS).is_dir() and not (path / ROWS).is_symlink()
            for row in read_rows(path)]  # fmt: skip
    return [row for row in rows if row["error"]]


class Comparison:
    """The sections about runs, which are sorted by their objective.

    Attributes:
        options: names of the options that differ.
        names: short name of each run.
    """

    def __init__(self, objective: str, runs: Sequence[Facts], options: list[str], names: list[str]) -> None:
        self.objective, self.runs, self.options, self.names = objective, runs, options, names
        self.title, self.better = scores.meaning(objective)

    def header(self, title: str, given: Sequence[Path]) -> Html:
        kicker = "Sweep" if len(given) == 1 else "Comparison"
        best = self.runs[0]
        value = score_of(best, self.objective)
        seconds = sum(facts.log.seconds for facts in self.runs if facts.log.seconds >= 0)
        rows: list[tuple[Content, Content]] = [
            ("runs", f"{len(self.runs):,}"),
            ("options that differ", first_few([heading(name, self.options) for name in self.options], 4) or "none"),
            (f"best {self.title}", f"{value:.4g}" if math.isfinite(value) else "–"),
            ("of the run", self.names[0]),
            ("training time, all runs", duration(seconds)),
            ("data", ", ".join(dict.fromkeys(name for facts in self.runs[:20] for name in facts.data))[:60]),
        ]
        return join(tag("p", kicker, class_="kicker"), tag("h1", title),
                    tag("p", f"{counted(len(self.runs), 'run')}, sorted by {self.objective}", class_="subtitle"),
                    tiles(rows))  # fmt: skip

    def table(self, failed: Sequence[dict[str, Any]]) -> Html:
        options = self.options[:MAX_COLUMNS]
        measured = list(dict.fromkeys(name for facts in self.runs for name in facts.run.scores))
        measured = sorted(measured, key=lambda name: (name != self.objective, name))[:MAX_COLUMNS]
        headings: list[Content] = ["run", *(heading(name, self.options) for name in options),
                                   *(scores.title_of(name) for name in measured), "images", "time",
                                   "status"]  # fmt: skip
        rows: list[list[Content]] = []
        for facts in self.runs[:MAX_ROWS]:
            run = facts.shown
            rows.append([
                facts.name, *(as_typed(name, run.option(name)) for name in options),
                *(scores.number(run.scores.get(name)) for name in measured), f"{run.images:,}",
                duration(run.seconds) if run.seconds >= 0 else "–", facts.status,
            ])  # fmt: skip
        parts: list[Content] = [table(headings, rows, left=1 + len(options))]
        left = len(self.runs) - MAX_ROWS
        parts.append(note(f"{left:,} more runs are left out.") if left > 0 else None)
        if len(self.options) > MAX_COLUMNS:
            parts.append(note(f"{len(self.options) - MAX_COLUMNS:,} more options differ; gan compare prints them."))
        if failed:
            jobs = [[f"job {row['job'] + 1}", ", ".join(f"{k}={public(v)}" for k, v in row["options"].items()),
                     row["status"], public(row["error"])] for row in failed[:MAX_ROWS]]  # fmt: skip
            parts += [tag("h3", "Jobs without a result"), table(["job", "options", "status", "error"], jobs, left=4)]
        return section("table", "Runs", lead("One row per run, the best first, with the options that differ and the "
                       "scores at its best evaluation. ↓ lower is better, ↑ higher is better."), parts)  # fmt: skip

    def options_against_objective(self) -> Html:
        title = "Options against the objective"
        values = [score_of(facts, self.objective) for facts in self.runs]
        runs = [facts.shown for facts in self.runs]
        columns = [(heading(name, self.options), [on_axis(name, run.option(name)) for run in runs])
                   for name in self.options]  # fmt: skip
        drawing = parallel_coordinates(columns, self.title, [v if math.isfinite(v) else None for v in values],
                                       self.names)  # fmt: skip
        if drawing is None:
            return section("options", title, note("No option differs between the runs, or no run has a score."))
        few = note(f"The first {MAX_AXES} options are shown.") if len(columns) > MAX_AXES else None
        return section("options", title, lead("One line per run, from its options to its score on the last axis. The "
                       "thick line is the best run. If all lines through a value end low on the last axis, that value "
                       "is good."), drawing, few)  # fmt: skip

    def curves(self) -> Html:
        """Return a chart for each score and for the losses, with all runs in one, and one legend."""
        shown = list(enumerate(self.runs[:MAX_LINES]))
        known = {name for _, facts in shown for name in facts.log.curves}
        names = sorted((n for n in known if n.startswith("eval/")), key=lambda name: (name != self.objective, name))
        names += sorted(n for n in known if n.startswith("loss/"))
        if not names:
            return section("curves", "Curves", note("Nothing was logged yet."))
        charts = []
        for name in names[:MAX_CHARTS]:
            lines = [Line(self.names[n], facts.log.curves[name].points, n) for n, facts in shown
                     if name in facts.log.curves]  # fmt: skip
            is_score = name.startswith("eval/")
            title = scores.title_of(name) if is_score else text(name.replace("loss/", "loss of the "))
            charts += [
                line_chart(title, lines, axis, include=scores.range_of(name), legend=False)
                for axis in (IMAGES, MINUTES)
            ]
        left = len(self.runs) - MAX_LINES
        return section("curves", "Curves", lead("All runs in one chart per score. Compare them over minutes if their "
                       "speeds differ. ↓ lower is better, ↑ higher is better; losses have no better direction."),
                       axis_choice(), key([(self.names[n], n) for n, _ in shown]),
                       tag("div", charts, class_="charts large"),
                       note(f"The {MAX_LINES} best runs are shown.") if left > 0 else None)  # fmt: skip

    def grids(self, notes: list[str]) -> Html:
        """Return the newest grid of each run."""
        with_grids = [(n, facts) for n, facts in enumerate(self.runs) if facts.grids.grids]
        chosen = with_grids[:MAX_GRIDS]
        limit = min(MAX_GRID_BYTES, GRIDS_BYTES // max(1, len(chosen)))
        figures = []
        for n, facts in chosen:
            seen, path = facts.grids.grids[-1]
            try:
                grid = embed(path, limit)
            except (ImageError, OSError) as error:
                notes.append(f"{facts.name}: {path.name} is left out: {reason(error)}.")
                continue
            value = score_of(facts, self.objective)
            score = f"{self.title} {value:.4g}, " if math.isfinite(value) else ""
            caption = tag("figcaption", tag("strong", self.names[n]), tag("br"), f"{score}{seen:,} images seen")
            figures.append(tag("figure", caption, grid.tag(f"grid of {self.names[n]}")))
        if not figures:
            return section("grids", "Grids", note("No run has a grid yet."))
        left = len(with_grids) - len(chosen)
        return section("grids", "Grids", lead("The newest grid of each run, from the same latents if the networks take "
                       "the same ones. The best run is first. Look for quality and for variety."),
                       tag("div", figures, class_="grids"),
                       note(f"The grids of {left:,} more runs are left out.") if left > 0 else None)  # fmt: skip

    def how(self, given: Sequence[Path]) -> Html:
        """Return the commands that started the runs, the protocol, and what to do next."""
        best = self.runs[0]
        commands = []
        for facts in self.runs:
            last = next((s["command"] for s in reversed(facts.starts) if isinstance(s.get("command"), list)), None)
            commands += [command_line(last)] if last else []
        shown = [tag("pre", tag("code", text(each, MAX_COMMAND)), class_="command")
                 for each in list(dict.fromkeys(commands))[:8]]  # fmt: skip
        folder = scores.shown_path(best)
        steps = [(f"gan report {folder}", "all details of the best run"),
                 (f"gan evaluate {folder}", "score the best run beside real images, and search for copies"),
                 (f"gan compare {' '.join(map(scores.shown_path, self.runs[:3]))} --json",
                  "all scores as JSON")]  # fmt: skip
        return section("how", "Commands and protocol", lead("How the runs were started, how they were scored, and "
                       "commands to type next."), shown, tag("p", scores.protocol_of_training(best), class_="protocol"),
                       tag("ol", [tag("li", tag("code", words), tag("span", why)) for words, why in steps],
                           class_="steps"))  # fmt: skip


def as_typed(name: str, value: Any) -> str:
    """Return the value of an option as text, as a user types it."""
    return str(value).lower() if isinstance(value, bool) else cell(name, value)


def on_axis(name: str, value: Any) -> Any:
    """Return the value of an option for an axis: numbers stay numbers."""
    return value if value is None or isinstance(value, int | float) else cell(name, value)
