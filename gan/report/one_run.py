"""The report of one run: what was trained, how good and how original its images are, and what to try next."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gan import scores
from gan.data.decoding.reader import ImageError
from gan.evaluation.registry import meaning
from gan.report.charts import Line, Panel, draw, to_svg
from gan.report.facts import Facts, public, public_word, read_facts
from gan.report.page import Block, Embedded, Header, Section, embed, evenly, render, render_parts
from gan.runs import health as rules
from gan.utils.errors import reason
from gan.utils.option_values import map_strings
from gan.utils.output import duration, first_few, shortened

GRIDS_BYTES = 2_200_000  # of all grids together, before they become text
SHEET_BYTES = 300_000  # of the real images, and of the copies
MAX_GRIDS = 24
MAX_GRID_BYTES = 220_000
MAX_PANELS = 24
MAX_POINTS = 300  # of a curve
MAX_CONFIG = 60_000  # characters
MAX_WORDS = 200  # of a command
PROGRAMS = {"__main__.py": "gan", "train.py": "python train.py"}
HEALTH = ("accuracy", "overfitting", "diversity", "augment")
ARROWS = {"lower": " ↓", "higher": " ↑", "": ""}
FLOOR = "other real images"  # the row of gan evaluate with the best possible scores
VARIES = ("metric", "value", "row", "images", "real")  # fields of a record that are no protocol
PROTOCOL = (("resize", "resize"), ("reference", "real images"), ("checkpoint", "checkpoint"),
            ("generator", "generator"), ("seeds", "seeds"), ("k", "k"), ("time", "time"))  # fmt: skip
MAX_ROWS = 40
MAX_EXTRACTORS = 6


def build(folder: Path) -> bytes:
    """Return the report of a run as HTML; raise UserError if its configuration cannot be read."""
    facts = read_facts(folder)
    grids = evenly(facts.grids.grids, MAX_GRIDS)
    sections = [images(facts, grids), curves(facts), scored(facts), memorization(facts), health(facts),
                configuration(facts)]  # fmt: skip
    if facts.notes:
        sections.append(
            Section("notes", "Notes", [Block("list", facts.notes)], "What this report leaves out, and why.")
        )
    return render(header(facts), sections)


def watch(folder: Path) -> str:
    """Return the newest state of a run as HTML, without `page.style`; raise UserError as `build`."""
    facts = read_facts(folder)
    return render_parts(header(facts), [images(facts, facts.grids.grids[-1:]), curves(facts), health(facts)])


def header(facts: Facts) -> Header:
    """Return the numbers to look at first."""
    log = facts.log
    tiles = [("images seen", f"{log.images:,}")]
    if log.seconds > 0:
        tiles += [("training time", duration(log.seconds)), ("images per second", number(log.images / log.seconds))]
    if math.isfinite(facts.score):
        title, better, _ = meaning(facts.objective)
        tiles.append((f"best {title}{ARROWS[better]}", number(facts.score)))
        for when, values in (("before training", log.untrained), ("real images (floor)", floor_scores(facts))):
            if facts.objective in values:
                tiles.append((f"{title}, {when}", number(values[facts.objective])))
    return Header("Training run", facts.name, " – ".join(filter(None, [facts.summary, facts.status])), tiles)


def shots(facts: Facts, files: list[tuple[str, Path]], max_bytes: int) -> list[tuple[str, Embedded]]:
    """Return images of samples/ with their captions. Those that cannot be read become notes."""
    embedded = []
    for caption, path in files:
        try:
            embedded.append((caption, embed(path, max_bytes)))
        except (ImageError, OSError) as error:
            facts.notes.append(f"{path.name} is left out: {reason(error)}.")
    return embedded


def images(facts: Facts, grids: list[tuple[int, Path]]) -> Section:
    """Return the grids beside real images."""
    kind, question = "the same latents", "similar quality, and as much variety?"
    if facts.translates:
        kind, question = "translations of the same images", "the same look, and the content of the inputs?"
    files = [(f"at {seen:,} images seen", path) for seen, path in grids]
    film = shots(facts, files, min(MAX_GRID_BYTES, GRIDS_BYTES // max(1, len(files))))
    real = shots(facts, [("training images", facts.grids.reals)] if facts.grids.reals else [], SHEET_BYTES)
    columns = [[Block("heading", title), Block("film", content)]
               for title, content in (("Generated", film), ("Real", real)) if content]  # fmt: skip
    parts = [Block("columns", columns) if columns else Block("note", "The run has no grids yet.")]
    if (more := len(facts.grids.grids) - len(grids)) > 0:
        parts.append(Block("note", f"{more:,} more grids are in samples/."))
    return Section("images", "Images", parts, f"Each grid shows {kind} later in training. Compare the newest grid with "
                   f"the real images: {question}")  # fmt: skip


def curves(facts: Facts) -> Section:
    panels = panels_of(facts)
    content = chart(panels[:MAX_PANELS])
    if len(panels) > MAX_PANELS:
        content.append(Block("note", f"{len(panels) - MAX_PANELS} more curves are in metrics.jsonl."))
    return Section("curves", "Curves", content, "Scores should move in the direction of their arrow (↓ lower is "
                   "better, ↑ higher is better). Losses of a GAN do not fall like those of a classifier: they should "
                   "stay in balance.")  # fmt: skip


def chart(panels: list[Panel]) -> list[Block]:
    """Return panels as one image; a note if there is nothing to draw."""
    panels = [panel for panel in panels if any(line.points for line in panel.lines)]
    return [Block("chart", to_svg(draw(panels))) if panels else Block("note", "Nothing was logged yet.")]


def panels_of(facts: Facts) -> list[Panel]:
    """Return a panel for each score, the objective first, and one each for losses and penalties."""
    known, floors = facts.log.curves, floor_scores(facts)
    names = sorted(known, key=lambda name: (name != facts.objective, name))
    panels = [Panel(title_of(name), [Line(name, evenly(known[name], MAX_POINTS))], floors.get(name), is_fraction(name))
              for name in names if name.startswith("eval/")]  # fmt: skip
    for begin, title in (("loss/", "losses"), ("penalty/", "penalties, as added to the losses")):
        members = [name for name in names if name.startswith(begin)]
        lines = [Line(name.removeprefix(begin), evenly(known[name], MAX_POINTS), n) for n, name in enumerate(members)]
        panels += [Panel(title, lines)] if lines else []
    return panels


def scored(facts: Facts) -> Section:
    table = training_scores(facts)
    parts = [Block("note", "No evaluation was logged. gan evaluate scores the run.")]
    if table:
        parts = [Block("table", table), Block("note", protocol_of_training(facts))]
    for extractor, results, protocol in evaluations(facts):
        parts += [
            Block("heading", f"gan evaluate, features {extractor}"),
            Block("table", results),
            Block("note", protocol),
        ]
    if not facts.records:
        parts.append(Block("note", "The scores of real images, which are the best possible, are not there yet. "
                           "gan evaluate adds them."))  # fmt: skip
    return Section("scores", "Scores", parts, "Read a score between two others: that before training, and that of "
                   "other real images, which is the best possible (the floor).")  # fmt: skip


def memorization(facts: Facts) -> Section:
    sheet = shots(facts, [("generated and training images", facts.grids.copies)] if facts.grids.copies else [],
                  SHEET_BYTES)  # fmt: skip
    missing = Block("note", "Not searched yet. gan evaluate finds the generated images nearest to training images.")
    return Section("copies", "Nearest training images", [Block("images", sheet) if sheet else missing],
                   "Each generated image is on the left of the training image that is nearest to it. Nearly equal "
                   "pairs are copies: the generator memorizes.")  # fmt: skip


def health(facts: Facts) -> Section:
    """Return what the health values say, and their curves."""
    known = {name: points for name in HEALTH if (points := facts.log.curves.get(f"health/{name}"))}
    lead = (f"How training goes: accuracy of the discriminator (good between {rules.MIN_ACCURACY:.0%} and "
            f"{rules.MAX_ACCURACY:.0%}), overfitting (good below {rules.MAX_OVERFITTING:.0%}), diversity (good above "
            f"{rules.MIN_DIVERSITY:.0%}), augmentation.")  # fmt: skip
    if not known:
        return Section("health", "Health", [Block("note", "No health values were logged yet.")], lead)
    silent = facts.log.seconds < rules.SILENT
    found = [] if silent else rules.findings(rules.newest_values(facts.log, facts.config))
    problems = [f"{finding.seen}. Try {finding.rule.remedy}." for finding in found]
    lines = [Line(name, evenly(points, MAX_POINTS), n) for n, (name, points) in enumerate(known.items())]
    parts = [Block("list", problems or ["Nothing is wrong in the newest values."])]
    return Section("health", "Health", [*parts, *chart([Panel("health values", lines, from_zero=True)])], lead)


def configuration(facts: Facts) -> Section:
    """Return the commands and the options that were typed, the machine, and all options."""
    newest = facts.starts[-1] if facts.starts else {}
    packages = newest.get("packages")
    values = {name: newest.get(name) for name in ("machine", "cores", "device", "gpu", "python", "git")}
    if isinstance(packages, dict):
        values["packages"] = first_few([f"{name} {version}" for name, version in packages.items()], 20)
    machine = [(name, public(shortened(str(value), 800))) for name, value in values.items() if value]
    typed = [f"{name}={public(str(value))}" for name, value in facts.choices.items()][:MAX_WORDS]
    options = yaml.safe_dump(map_strings(facts.tree, public), sort_keys=False, allow_unicode=True)
    return Section("configuration", "Configuration", [
        Block("code", commands(facts)[-5:]), Block("code", typed or ["All options have their default."]),
        Block("heading", "Machine"), Block("pairs", machine),
        Block("details", ("All options (config.yaml)", options[:MAX_CONFIG].splitlines())),
    ], "The commands that started the run, typed options, the machine and all options. Paths are short.")  # fmt: skip


def commands(facts: Facts) -> list[str]:
    """Return the commands that started a run, without paths. The program adds resume=null."""
    typed = [start["command"] for start in facts.starts if isinstance(start.get("command"), list)]
    lines = []
    for command in typed:
        words = [public_word(str(word)) for word in command[:MAX_WORDS] if not str(word).startswith("resume=null")]
        lines.append(" ".join([PROGRAMS.get(word, word) for word in words[:1]] + list(map(shlex.quote, words[1:]))))
    return lines


# ---- scores


class Table(NamedTuple):
    """A table of texts. The first column has names, the others have numbers."""

    headings: list[str]
    rows: list[list[str]]


def title_of(name: str, logged: bool = True) -> str:
    title, better, _ = meaning(name)
    return f"{title}{ARROWS[better]}" + f" ({name.removeprefix('eval/')})" * logged


def is_fraction(name: str) -> bool:
    """Return whether the axis of a score includes 0, and is never logarithmic."""
    return meaning(name).better == "higher" or "copies" in name


def number(value: object) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= 1e30:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def training_scores(facts: Facts) -> Table | None:
    """Return the table of the scores during training; None if there are none."""
    log, floors = facts.log, floor_scores(facts)
    start = "start" if facts.config.get("init_from") else "untrained"
    names = sorted(name for name in log.curves if name.startswith("eval/"))[:MAX_ROWS]
    columns = [(title, values) for title, values in ((start, log.untrained), ("best", log.best),
                                                     ("newest", log.newest)) if values]  # fmt: skip
    headings = ["score", *(f"{title} (at {values.get('images', 0):,} images)" for title, values in columns)]
    rows = [[title_of(name), *(number(values.get(name)) for _, values in columns)] for name in names]
    if floors:
        headings.append("real images")
        rows = [[*row, number(floors.get(name))] for name, row in zip(names, rows, strict=True)]
    return Table(headings, rows) if names else None


def protocol_of_training(facts: Facts) -> str:
    """Return the settings of the evaluation during training as a sentence."""
    get = facts.config.get
    extractors = get("callback.evaluate.extractors")
    names = ", ".join(map(str, extractors)) if isinstance(extractors, list) else "unknown"
    real = "held-out images" if get("data.split") else "training images, because none are held out"
    count, limit = number(get("callback.evaluate.num_images")), number(get("callback.evaluate.max_real_images"))
    extreme = "highest" if scores.sign(facts.objective, facts.tree) < 0 else "lowest"
    return (f"Protocol: features {names}; {count} images of the EMA generator against at most {limit} {real}. "
            f"Best means the {extreme} {facts.objective.removeprefix('eval/')}. Do not compare scores on other "
            "features, or precision, recall and Fréchet distances at other numbers of images.")  # fmt: skip


def floor_scores(facts: Facts) -> dict[str, float]:
    """Return the scores of real images by the names in the log, from gan evaluate; empty if it was not run.

    Fréchet distances are omitted, because they depend on the number of images.
    """
    floors: dict[str, float] = {}
    for record in facts.records:
        name = f"eval/{record.get('metric')}_{record.get('extractor')}"
        if record.get("row") == FLOOR and number(value := record.get("value")) != "–" and name in facts.log.curves:
            floors |= {} if "/fd_" in name else {name: value}  # type: ignore[dict-item]
    return floors


def evaluations(facts: Facts) -> list[tuple[str, Table, str]]:
    """Return extractor, table and protocol for each extractor with which gan evaluate last scored the run."""
    extractors = list(dict.fromkeys(str(record.get("extractor")) for record in reversed(facts.records)))
    made = []
    for extractor in extractors[:MAX_EXTRACTORS]:
        records = [record for record in facts.records if str(record.get("extractor")) == extractor]
        protocol = protocol_of(records[-1])
        newest = [record for record in records if protocol_of(record) == protocol]
        settings = [f"{title} {public(plain(protocol[name]))}" for name, title in PROTOCOL if protocol.get(name)]
        made.append((extractor, evaluation_table(newest), "Protocol: " + "; ".join(settings)))
    return made


def protocol_of(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in VARIES}


def plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(plain, value)) if isinstance(value, list) else str(value)


def evaluation_table(records: list[dict[str, Any]]) -> Table:
    """Return the table of `gan evaluate`: a row for the generated images, and rows for real ones."""
    rows: dict[str, dict[str, Any]] = {}
    for record in records:
        if len(rows) < MAX_ROWS or str(record.get("row")) in rows:
            row = rows.setdefault(str(record.get("row")), {"images": record.get("images"), "real": record.get("real")})
            row[f"eval/{record.get('metric')}"] = record.get("value")
    names = list(dict.fromkeys(name for row in rows.values() for name in row if name.startswith("eval/")))[:MAX_ROWS]
    body = [[name, *(number(row.get(column)) for column in ("images", "real", *names))] for name, row in rows.items()]
    return Table(["", "images", "real", *(title_of(name, logged=False) for name in names)], body)
