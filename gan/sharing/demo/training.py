"""The tab Training: curves, newest grid and health of a run, which may still be training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from gan.common.errors import UserError
from gan.run import checkpoints, run_folder
from gan.sharing.demo.context import WATCH, answer
from gan.sharing.demo.shown import Shown
from gan.sharing.report import run_page
from gan.sharing.report.charts import IMAGES, line_chart
from gan.sharing.report.facts import Facts, read_facts
from gan.sharing.report.grids import find_grids
from gan.sharing.report.markup import Html, note, section, tag
from gan.sharing.report.style import scoped

INTERVAL = 5.0  # seconds
SCOPE = "report"  # the class around what the report draws
STYLE = scoped(SCOPE)


def training_tab(shown: Shown, opened: Sequence[Any]) -> None:
    """Add the tab's content. `opened` are the events that show it."""
    run = shown.run
    assert run is not None
    stamp = gr.State(None)
    page = gr.HTML(message("loading ..."))
    with gr.Row():
        reload = gr.Button("Use the newest checkpoint in the other tabs", visible=shown.model is not None)
    timer = gr.Timer(INTERVAL)

    @answer
    def refresh(before: Any) -> Any:
        try:
            now = stamp_of(run)
            if now == before:
                return gr.skip(), gr.skip()
            return watch(run), now
        except (UserError, OSError) as error:
            gone = not run.is_dir()
            return message(f"{shown.name}: the run folder is no longer there" if gone else str(error)), None

    @answer
    def newest() -> None:
        newer = shown.reload()
        seen = f"{shown.model.images:,} images seen"
        gr.Info(f"Loaded the checkpoint at {seen}." if newer else
                f"The other tabs already use the newest checkpoint ({seen}).")  # fmt: skip

    shared: dict[str, Any] = {"concurrency_id": WATCH, "concurrency_limit": 2, "show_progress": "hidden"}
    timer.tick(refresh, stamp, [page, stamp], api_visibility="private", **shared)
    reload.click(newest, api_visibility="private", concurrency_id=WATCH, concurrency_limit=2)
    gr.on(opened, refresh, stamp, [page, stamp], api_name=f"training{shown.calls}", **shared)


def stamp_of(run: Path) -> Any:
    """Return what changes when the run has something new; cheap to compute."""
    log = (run / run_folder.METRICS).stat() if (run / run_folder.METRICS).is_file() else None
    (run / run_folder.CONFIG).stat()  # raises OSError if the run was removed
    newest = find_grids(run / run_folder.SAMPLES).grids[-1:]
    saved = [path.name for path in checkpoints.list_checkpoints(run)[-1:]]
    return str((log and (log.st_size, log.st_mtime_ns), newest, saved, (run / run_folder.LOCK).exists()))


def watch(run: Path) -> Html:
    """Return the newest state of a run as HTML.

    Raises:
        UserError: the run has no configuration that can be read.
    """
    facts = read_facts(run)
    facts.grids = facts.grids._replace(grids=facts.grids.grids[-1:])
    status = tag("p", f"{facts.model} on {', '.join(facts.data[:4])}, {facts.size} pixels ",
                 tag("span", facts.status, class_="status") if facts.status else None, class_="subtitle")  # fmt: skip
    grids = run_page.images(facts, run_page.embedded_grids(facts))
    return around(status, run_page.key_numbers(facts), curves(facts), grids, run_page.health(facts))


def curves(facts: Facts) -> Html:
    charts = [chart for chart in run_page.charts_of(facts) if any(line.points for line in chart.lines)]
    drawn = [line_chart(*chart[:2], IMAGES, *chart[2:]) for chart in charts[: run_page.MAX_CHARTS]]
    return section("curves", "Curves", tag("div", drawn, class_="charts") if drawn else note("Nothing was logged yet."))


def around(*content: Any) -> Html:
    return tag("div", *content, class_=SCOPE)


def message(text: str) -> Html:
    return around(note(text))
