"""The tab Compare: the same seeds in several generators, and the scores and curves of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from gan.common.errors import UserError, to_line
from gan.images.convert import grid, to_png
from gan.sharing.demo import limits
from gan.sharing.demo.context import FAST, WATCH, Context, answer
from gan.sharing.demo.shown import Shown
from gan.sharing.demo.training import around, message
from gan.sharing.provenance import Described, generated
from gan.sharing.report.facts import read_facts
from gan.sharing.report.log import MANY_RUNS
from gan.sharing.report.markup import Html, note
from gan.sharing.report.runs_page import Comparison, compared

MAX_SEEDS = 16


def compare_tab(models: Sequence[Shown], context: Context, opened: Any) -> None:
    """Add the tab's content. `opened` is the event that shows it."""
    generators = [shown for shown in models if shown.generates]
    runs = [shown for shown in models if shown.run is not None]
    if len(generators) > 1:
        with gr.Row():
            seeds = gr.Textbox("0-8", label="Seeds", info=f"the same for all models; at most {MAX_SEEDS}", scale=3)
            truncation = gr.Slider(0, 1.5, 1, step=0.05, label="Truncation (models with a mapping network)", scale=2)
            button = gr.Button("Generate", variant="primary", scale=1)
        gallery = gr.Gallery(label="One grid per model", columns=min(4, max(3, len(generators))), height=660,
                             format="png", object_fit="contain", elem_classes="pixels",
                             interactive=False)  # fmt: skip

        @answer
        def compare(seeds: Any, truncation: Any) -> list[tuple[str, str]]:
            numbers = limits.distinct_seeds(seeds, MAX_SEEDS)
            psi = limits.number("truncation", truncation, -2, 2)
            return [(context.keep(grid_of(shown, numbers, psi), "grid.png"), shown.name) for shown in generators]

        gr.on([button.click, seeds.submit, opened], compare, [seeds, truncation], gallery, api_name="compare",
              concurrency_id=FAST, concurrency_limit=1)  # fmt: skip
    if len(runs) > 1:
        page = gr.HTML(message("loading ..."))
        refresh = gr.Button("Refresh scores")

        @answer
        def scores() -> Html:
            return scores_of(runs)

        gr.on([refresh.click, opened], scores, None, page, api_name="scores", concurrency_id=WATCH,
              concurrency_limit=2)  # fmt: skip


def grid_of(shown: Shown, seeds: list[int], psi: float) -> bytes:
    """Return the grid of a model as a PNG; without truncation if the model has no mapping network."""
    model, own = shown.model, psi if shown.space.name == "w" else 1.0
    sheet = grid(model.generate(seeds, own).pixels)
    return to_png(sheet, Described(generated(model, own), (), None, seeds).grid(sheet))


def scores_of(runs: Sequence[Shown]) -> Html:
    """Return the table and the curves of runs; runs that cannot be read are named."""
    found, lost = [], []
    for shown in runs:
        assert shown.run is not None
        try:
            found.append(read_facts(shown.run, MANY_RUNS))
        except (UserError, OSError) as error:
            lost.append(note(f"{shown.name} is left out: {to_line(error)}"))
    if not found:
        return around(*lost)
    comparison: Comparison = compared(found)
    return around(*lost, comparison.table([]), comparison.curves())
