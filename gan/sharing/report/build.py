"""Build the report of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gan.common.errors import UserError
from gan.sharing.report.facts import read_facts
from gan.sharing.report.log import MANY_RUNS
from gan.sharing.report.run_page import run_page
from gan.sharing.report.runs_page import runs_page

MAX_RUNS = 300


def build(given: Sequence[Path], runs: Sequence[Path], check_data: bool = True) -> bytes:
    """Return a report as HTML: of the run, or for several runs a comparison.

    Args:
        given: the folders as typed, run folders or folders of runs.
        runs: the run folders in them.
        check_data: check the folder of training images of a single run.

    Raises:
        UserError: the configuration of the run, or of all runs, cannot be read.
    """
    if len(runs) == 1:
        return run_page(read_facts(runs[0]), check_data)
    found, notes = [], []
    if len(runs) > MAX_RUNS:
        notes.append(f"{len(runs) - MAX_RUNS:,} more runs are left out; give fewer runs.")
    for run in runs[:MAX_RUNS]:
        try:
            found.append(read_facts(run, MANY_RUNS))
        except UserError as error:
            notes.append(f"{run.name} is left out: its configuration cannot be read.")
            reason = error
    if not found:
        raise reason
    return runs_page(given, found, notes)
