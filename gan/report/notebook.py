"""Show a run in a notebook: its numbers, the newest grid beside real images, curves and health.

The run folder is read each time that the view is shown, so that it also works while the run trains. It may come from a
stranger: images are decoded here before a notebook gets them, and names are escaped.
"""

from __future__ import annotations

import os
from pathlib import Path

from gan.runs import run_folder
from gan.utils.errors import UserError, path_hint
from gan.utils.output import one_line


class View:
    """What `gan.show` returns: a notebook shows it as images and curves, a terminal as one line.

    Attributes:
        path: the run folder.
    """

    def __init__(self, run: str | os.PathLike[str]) -> None:
        self.path = Path(run)
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such run folder{path_hint(self.path)}")
        if not run_folder.is_run(self.path):
            raise UserError(f"{self.path}: is not a run folder; {run_folder.hint_inside(self.path) or 'give one run'}")

    def __repr__(self) -> str:
        from gan.report.facts import read_facts

        facts = read_facts(self.path)
        return one_line(f"<run {self.path}: {facts.log.images:,} images seen, {facts.status}>")

    def _repr_html_(self) -> str:
        from gan.report import one_run, page

        return f"<style>{page.style()}</style>{one_run.watch(self.path)}"


def show(run: str | os.PathLike[str]) -> View:
    """Show a run in a notebook: `gan.show("runs/first")` at the end of a cell. It may still be training.

    Args:
        run: a run folder, or a `gan.Run`.
    """
    return View(run)
