"""The tab Training: curves, newest grid and health of a run, which may still train."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from gan.demo.calls import WATCH, answer
from gan.demo.models import PageModel
from gan.report.facts import find_grids
from gan.report.one_run import watch
from gan.runs import checkpoints, run_folder
from gan.utils.errors import UserError, to_line

INTERVAL = 15.0  # seconds; drawing the curves takes about one, beside a run that may train here


def message(text: str) -> str:
    return f'<div class="report"><p class="note">{html.escape(text)}</p></div>'


def training_tab(shown: PageModel, opened: Sequence[Any]) -> None:
    """Add the tab's content. `opened` are the events that show it."""
    run = shown.run
    assert run is not None
    stamp = gr.State(None)
    page = gr.HTML(message("loading ..."))
    timer = gr.Timer(INTERVAL)

    @answer
    def refresh(before: Any) -> Any:
        try:
            now = stamp_of(run)
            return (gr.skip(), gr.skip()) if now == before else (watch(run), now)
        except (UserError, OSError) as error:
            gone = not run.is_dir()
            return message(f"{shown.name}: the run folder is no longer there" if gone else to_line(error)), None

    shared: dict[str, Any] = {"show_progress": "hidden", **WATCH}
    timer.tick(refresh, stamp, [page, stamp], api_visibility="private", **shared)
    gr.on(opened, refresh, stamp, [page, stamp], api_name=f"training{shown.calls}", **shared)


def stamp_of(run: Path) -> Any:
    """Return what changes when the run has something new; cheap to compute."""
    log = run / run_folder.METRICS
    (run / run_folder.CONFIG).stat()  # raises OSError if the run was removed
    newest = find_grids(run / run_folder.SAMPLES).grids[-1:]
    saved = [path.name for path in checkpoints.list_checkpoints(run)[-1:]]
    return str((log.is_file() and log.stat().st_mtime_ns, newest, saved, (run / run_folder.LOCK).exists()))
