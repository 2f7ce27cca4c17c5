"""The page: tabs for each model by its kind, and looks, which need no model."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from gan.demo.calls import WATCH, Context, answer
from gan.demo.edit import edit_tab, project_tab
from gan.demo.generate import generate_tab, interpolate_tab
from gan.demo.models import PageModel
from gan.demo.translate import looks_tab, translate_tab
from gan.report import page as report
from gan.report.one_run import watch
from gan.runs import run_folder
from gan.utils.errors import UserError, to_line

STYLE = f"""
.pixels img {{ image-rendering: pixelated; object-fit: contain; width: 100%; height: 100%; }}
.gradio-container {{ width: 100%; max-width: 1320px !important; margin: 0 auto; }}
footer {{ display: none !important; }}
{report.style()}
"""
HEADING = "<h2 style='margin: 0'>retro-gan</h2><span>looks, without training</span>"
INTERVAL = 15.0  # seconds; drawing the curves takes about one, beside a run that may train here
KEPT = 1800  # seconds that uploads and results are kept
MAX_WAITING = 40  # calls in the queue
FONTS = ["system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
MONOSPACE = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
# Components whose values we check ourselves. Gradio's checks let NaN pass, and print a traceback for other values.
CHECKED = (gr.Slider, gr.Number, gr.Dropdown, gr.Radio, gr.CheckboxGroup, gr.Textbox, gr.Checkbox)


def theme() -> Any:
    """Return a theme with the fonts of the system, so that none is downloaded."""
    return gr.themes.Default(primary_hue="orange", neutral_hue="stone", font=FONTS, font_mono=MONOSPACE)


def build(models: Sequence[PageModel], context: Context) -> gr.Blocks:
    """Return the page: tabs for each model, after looks unless the user has trained one of the models."""
    looks = not any(shown.run for shown in models)
    with gr.Blocks(title="retro-gan", analytics_enabled=False, delete_cache=(60, KEPT)) as blocks:
        if not models:
            gr.HTML(HEADING)
            looks_tab(context)
        elif len(models) == 1 and not looks:
            one_model(models[0], context, blocks)
        else:
            with gr.Tabs():
                if looks:
                    with gr.Tab("Looks and colors"):
                        looks_tab(context)
                for n, shown in enumerate(models):
                    shown.calls = f"_{n + 1}" if n else ""
                    with gr.Tab(shown.name):
                        one_model(shown, context, blocks, first=n == 0 and not looks)
        blocks.unload(context.cancel)  # the visitor has closed the page
    for component in blocks.blocks.values():
        if isinstance(component, CHECKED):
            component.preprocess = lambda payload: payload
        elif isinstance(component, gr.File):
            component.preprocess = paths_of
    blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=4)
    blocks.api_open = False  # calls go through the queue, which is bounded
    return blocks


def paths_of(payload: Any) -> Any:
    """Return the paths of uploads, which Gradio and the gate have checked: one, a list, or None."""
    files = getattr(payload, "root", payload)
    return [file.path for file in files] if isinstance(files, list) else files and files.path


def one_model(shown: PageModel, context: Context, blocks: gr.Blocks, first: bool = True) -> None:
    """Add the heading and the tabs of a model."""
    gr.HTML(heading(shown))
    with gr.Tabs():
        if shown.generates:
            with gr.Tab("Generate") as tab:
                generate_tab(shown, context, blocks.load if first else tab.select)
            with gr.Tab("Edit") as tab:
                edit_tab(shown, context, tab.select)
            with gr.Tab("Interpolate"):
                interpolate_tab(shown, context)
            with gr.Tab("Your image"):
                project_tab(shown, context)
        else:
            with gr.Tab("Translate"):
                translate_tab(shown, context)
        if shown.run is not None:
            with gr.Tab("Training") as tab:
                training_tab(shown, [tab.select, blocks.load])


def heading(shown: PageModel) -> str:
    """Return the name of a model with what it is, and notes about what could not be used."""
    model = shown.model
    if shown.generates:
        _, height, width = model.shape
        about = f"{width}×{height} pixels, {model.images:,} images seen"
        about += f", {len(model.classes)} classes" if model.classes else ""
    else:
        about = f"translator, {model.images:,} images seen"
    notes = "".join(f"<br>{html.escape(each)}" for each in shown.notes)
    return f"<h2 style='margin: 0'>{html.escape(shown.name)}</h2><span>{about}{notes}</span>"


# ---- training


def message(text: str) -> str:
    return f'<div class="report"><p class="note">{html.escape(text)}</p></div>'


def training_tab(shown: PageModel, opened: Sequence[Any]) -> None:
    """Add curves, the newest grid and the health of a run, which may still train. `opened` are events that show it."""
    run = shown.run
    assert run is not None
    stamp = gr.State(None)
    page = gr.HTML(message("loading ..."))
    timer = gr.Timer(INTERVAL)

    @answer
    def refresh(before: object) -> Any:
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
    (run / run_folder.CONFIG).stat()  # raises OSError if the run was removed
    names = (run_folder.METRICS, run_folder.SAMPLES, run_folder.CHECKPOINTS, run_folder.LOCK)
    return [path.stat().st_mtime_ns if (path := run / name).exists() else 0 for name in names]
