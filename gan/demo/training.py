"""The tabs Training and Compare: curves, newest grid and health of a run, which may still train, and runs together."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from gan.demo.calls import FAST, WATCH, Context, Controls, answer
from gan.demo.generate import truncation_slider
from gan.demo.models import PageModel
from gan.export.provenance import Described, generated
from gan.images.convert import grid, to_png
from gan.report import one_run
from gan.report.facts import read_facts
from gan.report.images import find_grids
from gan.report.page import render_parts
from gan.report.several_runs import Comparison
from gan.runs import checkpoints, run_folder
from gan.utils.errors import UserError, to_line

INTERVAL = 15.0  # seconds; drawing the curves takes about one, beside a run that may train here
MAX_SEEDS = 16


def message(text: str) -> str:
    return f'<div class="report"><p class="note">{html.escape(text)}</p></div>'


def training_tab(shown: PageModel, opened: Sequence[Any]) -> None:
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
            return (gr.skip(), gr.skip()) if now == before else (watch(run), now)
        except (UserError, OSError) as error:
            gone = not run.is_dir()
            return message(f"{shown.name}: the run folder is no longer there" if gone else to_line(error)), None

    @answer
    def newest() -> None:
        newer = shown.reload()
        gr.Info(f"{'Loaded the' if newer else 'The other tabs already use the newest'} checkpoint at "
                f"{shown.model.images:,} images seen.")  # fmt: skip

    shared: dict[str, Any] = {"show_progress": "hidden", **WATCH}
    timer.tick(refresh, stamp, [page, stamp], api_visibility="private", **shared)
    reload.click(newest, api_visibility="private", **WATCH)
    gr.on(opened, refresh, stamp, [page, stamp], api_name=f"training{shown.calls}", **shared)


def stamp_of(run: Path) -> Any:
    """Return what changes when the run has something new; cheap to compute."""
    log = run / run_folder.METRICS
    (run / run_folder.CONFIG).stat()  # raises OSError if the run was removed
    newest = find_grids(run / run_folder.SAMPLES).grids[-1:]
    saved = [path.name for path in checkpoints.list_checkpoints(run)[-1:]]
    return str((log.is_file() and log.stat().st_mtime_ns, newest, saved, (run / run_folder.LOCK).exists()))


def watch(run: Path) -> str:
    """Return the newest state of a run as HTML; raise UserError if its configuration cannot be read."""
    facts = read_facts(run)
    sections = [one_run.curves(facts), one_run.images(facts, facts.grids.grids[-1:]), one_run.health(facts)]
    return render_parts(one_run.header(facts), sections)


def compare_tab(models: Sequence[PageModel], context: Context, opened: Any) -> None:
    """Add the tab's content: the same seeds in several generators, and the scores of runs. `opened` shows it."""
    generators = [shown for shown in models if shown.generates]
    runs = [shown for shown in models if shown.run is not None]
    if len(generators) > 1:
        controls = Controls()
        with gr.Row():
            seeds = controls.seeds("0-8", f"the same for all models; at most {MAX_SEEDS}", MAX_SEEDS, scale=3)
            truncation_slider(controls, info="of models with a mapping network", scale=2)
            button = gr.Button("Generate", variant="primary", scale=1)
        gallery = gr.Gallery(label="One grid per model", columns=min(4, max(3, len(generators))), height=660,
                             format="png", object_fit="contain", elem_classes="pixels",
                             interactive=False)  # fmt: skip

        @answer
        def compare(*values: Any) -> list[tuple[str, str]]:
            given = controls.read(values)
            return [(context.keep(grid_of(shown, given.seeds, given.truncation), "grid.png"), shown.name)
                    for shown in generators]  # fmt: skip

        gr.on([button.click, seeds.submit, opened], compare, controls.inputs, gallery, api_name="compare", **FAST)
    if len(runs) > 1:
        page = gr.HTML(message("loading ..."))
        refresh = gr.Button("Refresh scores")
        gr.on([refresh.click, opened], answer(lambda: scores_of(runs)), None, page, api_name="scores", **WATCH)


def grid_of(shown: PageModel, seeds: list[int], truncation: float) -> bytes:
    """Return the grid of a model as a PNG; without truncation if the model has no mapping network."""
    psi = truncation if shown.space.name == "w" else 1.0
    sheet = grid(shown.model.generate(seeds, psi).pixels)
    return to_png(sheet, Described(generated(shown.model, psi), (), None, seeds).grid(sheet))


def scores_of(runs: Sequence[PageModel]) -> str:
    """Return the table and the curves of runs; runs that cannot be read are named."""
    readable, left_out = [], ""
    for shown in runs:
        assert shown.run is not None
        try:
            readable.append(read_facts(shown.run))
        except (UserError, OSError) as error:
            left_out += message(f"{shown.name} is left out: {to_line(error)}")
    if not readable:
        return left_out
    comparison = Comparison(readable)
    return left_out + render_parts(comparison.header("Comparison", "Runs"), [comparison.table(), comparison.curves()])
