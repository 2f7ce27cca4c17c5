"""The report of one run."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import yaml

from gan.common.errors import reason
from gan.common.output import duration, shortened
from gan.data.decoding.reader import ImageError
from gan.run.health import FINDINGS, SILENT, symptoms
from gan.sharing.report import data, scores
from gan.sharing.report.charts import COLORS, IMAGES, MINUTES, Line, line_chart
from gan.sharing.report.facts import Facts
from gan.sharing.report.grids import Embedded, embed, evenly
from gan.sharing.report.markup import Content, Html, block, join, lead, note, pairs, section, table, tag, text, tiles
from gan.sharing.report.page import axis_choice, page
from gan.sharing.report.private import public, public_tree, public_word

GRIDS_BYTES = 2_600_000  # of all grids together, before they become text
SHEET_BYTES = 300_000  # of the real images, and of the copies
MAX_GRIDS = 24
MAX_GRID_BYTES = 220_000
MAX_CHARTS = 24
MAX_CONFIG = 60_000  # characters
MAX_WORDS = 200  # of a command
MAX_COMMAND = 2000  # characters
RELATIVE = ("wasserstein", "relativistic")  # losses whose logits have no meaning alone; see `signed_logits`
PROGRAMS = {"__main__.py": "gan", "train.py": "python train.py"}
HEALTH = ("accuracy", "overfitting", "diversity", "augment")


def run_page(facts: Facts, check_data: bool = True) -> bytes:
    """Return the report of a run as HTML.

    Args:
        check_data: check the folder of training images if it is there.
    """
    shots = embedded_grids(facts)
    sections = [images(facts, shots), curves(facts), scored(facts), memorization(facts), health(facts),
                training_data(facts, check_data), configuration(facts), machine(facts), next_steps(facts)]  # fmt: skip
    if facts.notes:
        sections.append(section("notes", "Notes", lead("What this report leaves out, and why."),
                                tag("ul", [tag("li", each) for each in facts.notes])))  # fmt: skip
    return page(f"{facts.name} – report", header(facts), sections)


def embedded_grids(facts: Facts) -> list[tuple[int, Embedded]]:
    """Return images seen and image of the grids that can be read, evenly spaced over training."""
    chosen = evenly(facts.grids.grids, MAX_GRIDS)
    limit = min(MAX_GRID_BYTES, GRIDS_BYTES // max(1, len(chosen)))
    found = []
    for seen, path in chosen:
        try:
            found.append((seen, embed(path, limit)))
        except (ImageError, OSError) as error:
            facts.notes.append(f"{path.name} is left out: {reason(error)}.")
    return found


def single(facts: Facts, path: Any, alt: str) -> Html | None:
    """Return one image of samples/, with its note if it cannot be read; None if there is none."""
    if path is None:
        return None
    try:
        return embed(path, SHEET_BYTES).tag(alt)
    except (ImageError, OSError) as error:
        facts.notes.append(f"{path.name} is left out: {reason(error)}.")
        return None


def header(facts: Facts) -> Html:
    title = join(tag("p", "Training run", class_="kicker"), tag("h1", facts.name),
                 tag("p", f"{facts.model} on {', '.join(facts.data[:4])}, {facts.size} pixels ",
                     tag("span", facts.status, class_="status") if facts.status else None,
                     class_="subtitle"))  # fmt: skip
    return join(title, key_numbers(facts))


def key_numbers(facts: Facts) -> Html:
    """Return the numbers to look at first."""
    log, get = facts.log, facts.config.get
    images, minutes = get("images"), get("minutes")
    goal = f" of {images:,}" if isinstance(images, int) and images > log.images else None
    rows: list[tuple[Content, Content]] = [("images seen", join(f"{log.images:,}", tag("small", goal)))]
    if log.seconds >= 0:
        goal = f" of {duration(60 * minutes)}" if isinstance(minutes, int | float) and 0 < minutes < 1e6 else None
        rows.append(("training time", join(duration(log.seconds), tag("small", goal))))
        speed = scores.speed(facts)
        rows.append(("images per second", f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}" if speed > 0 else "–"))
    value = log.best.get(facts.objective, math.nan)
    if math.isfinite(value):
        title, better = scores.meaning(facts.objective)
        rows.append((f"best {title}{' ↓' if better == 'lower' else ''}", scores.number(value)))
        floor = scores.floor_scores(facts).get(facts.objective)
        before = log.untrained.get(facts.objective)
        rows += [(f"{title}, before training", scores.number(before))] if before is not None else []
        rows += [(f"{title}, real images (floor)", scores.number(floor))] if floor is not None else []
    return tiles(rows)


def images(facts: Facts, shots: list[tuple[int, Embedded]]) -> Html:
    """Return the grids over time beside real images."""
    if not shots and facts.grids.reals is None:
        return section("images", "Images", note("The run has no grids yet. Training writes them to samples/."))
    kind, question = "the same latents", "similar quality, and as much variety?"
    if facts.translates:
        kind, question = "translations of the same images", "the same look, and the content of the inputs?"
    film = [tag("figure", shot.tag(f"grid at {seen:,} images"), tag("figcaption", f"at {seen:,} images seen"))
            for seen, shot in shots]  # fmt: skip
    left = tag("div", tag("h3", "Generated"), tag("div", film, class_="film")) if film else None
    sheet = single(facts, facts.grids.reals, "real images")
    right = tag("div", tag("h3", "Real"), tag("figure", sheet, tag("figcaption", "training images"))) if sheet else None
    more = len(facts.grids.grids) - len(shots)
    broad = bool(shots) and shots[-1][1].width > 1.5 * shots[-1][1].height
    return section("images", "Images", lead(f"Each grid shows {kind} later in training. Compare the newest grid with "
                   f"the real images: {question}"),
                   tag("div", left, right, class_=f"sheets{' broad' * broad}"),
                   note(f"{more:,} more grids are in samples/.") if more > 0 and shots else None)  # fmt: skip


def curves(facts: Facts) -> Html:
    """Return the curves of scores, losses and penalties, over images and over minutes."""
    charts = charts_of(facts)
    if not any(line.points for chart in charts for line in chart.lines):
        return section("curves", "Curves", note("Nothing was logged yet."))
    drawn = [line_chart(*chart[:2], axis, *chart[2:]) for chart in charts[:MAX_CHARTS] for axis in (IMAGES, MINUTES)]
    more = len(charts) - MAX_CHARTS
    return section("curves", "Curves", lead("Scores should move in the direction of their arrow (↓ lower is better, ↑ "
                   "higher is better). Losses of a GAN do not fall like those of a classifier: they should stay in "
                   "balance."), axis_choice(), tag("div", drawn, class_="charts"),
                   note(f"{more} more curves are in metrics.jsonl.") if more > 0 else None)  # fmt: skip


class Chart(NamedTuple):
    """A chart: title, lines, score of real images, and values that its axis includes."""

    title: Html | str
    lines: list[Line]
    floor: float | None = None
    include: tuple[float, ...] = ()


def charts_of(facts: Facts) -> list[Chart]:
    """Return a chart for each score, the objective first, and one each for losses and penalties."""
    known, floors = facts.log.curves, scores.floor_scores(facts)
    charts = []
    for name in sorted(known, key=lambda name: (name != facts.objective, name)):
        if name.startswith("eval/"):
            line = Line(scores.meaning(name)[0], known[name].points)
            charts.append(Chart(scores.title_of(name), [line], floors.get(name), scores.range_of(name)))
    for begin, title in (("loss/", "losses"), ("penalty/", "penalties, as added to the losses")):
        names = sorted(name for name in known if name.startswith(begin))[:COLORS]
        lines = [Line(name.removeprefix(begin), known[name].points, n) for n, name in enumerate(names)]
        charts += [Chart(title, lines)] if lines else []
    return charts


def scored(facts: Facts) -> Html:
    return section("scores", "Scores", lead("Read a score between two others: that before training, and that of other "
                   "real images, which is the best possible (the floor). Arrows show which direction is better."),
                   scores.training_scores(facts), scores.evaluations(facts))  # fmt: skip


def memorization(facts: Facts) -> Html:
    title, words = "Nearest training images", (
        "Each generated image is on the left of the training image that is nearest to it. Nearly equal pairs are "
        "copies: the generator memorizes.")  # fmt: skip
    sheet = single(facts, facts.grids.copies, "generated images beside their nearest training images")
    if sheet is None:
        return section("copies", title, note("Not searched yet. ", scores.command("gan evaluate", facts),
                                             " finds the generated images nearest to training images."))  # fmt: skip
    return section("copies", title, lead(words), tag("div", sheet, class_="copies"))


def health(facts: Facts) -> Html:
    """Return what the health values say, and their curves."""
    known = facts.log.curves
    names = [name for name in HEALTH if f"health/{name}" in known and known[f"health/{name}"].last]
    words = lead("How training goes: accuracy of the discriminator (good between 55 % and 99 %), "
                 "overfitting (good below 50 %), diversity (good above 30 %), augmentation.")  # fmt: skip
    if not names:
        return section("health", "Health", note("No health values were logged yet."))
    items = []
    for name, values in findings(facts):
        finding, remedy = FINDINGS[name]
        items.append(tag("li", finding.format(**values), tag("small", f"Try {remedy}.")))
    if not items:
        items = [tag("li", "Nothing is wrong in the newest values.", class_="good")]
    lines = [Line(name, known[f"health/{name}"].points, n) for n, name in enumerate(names)]
    title = "health values" if len(lines) > 1 else names[0]
    drawn = [line_chart(title, lines, axis, include=(0.0, 1.0)) for axis in (IMAGES, MINUTES)]
    rows = [(name, f"{known[f'health/{name}'].last.value:.1%}") for name in names]  # type: ignore[union-attr]
    return section("health", "Health", words, tag("ul", items, class_="findings"),
                   tag("div", *drawn, pairs([*rows]), class_="charts"))  # fmt: skip


def findings(facts: Facts) -> list[tuple[str, dict[str, float]]]:
    """Return the problems that the newest health values show, with the values. None in the first minute."""
    if facts.log.seconds < SILENT:
        return []
    newest = {name.removeprefix("health/"): curve.last.value for name, curve in facts.log.curves.items()
              if name.startswith("health/") and curve.last}  # fmt: skip
    values = {name: newest[name] for name in HEALTH if name in newest}
    values["skipped"] = max((value for name, value in newest.items() if name.startswith("skipped_")), default=0.0)
    if any(name in str(facts.config.get("loss._target_")) for name in RELATIVE):
        values.pop("accuracy", None)
    overfitting = facts.log.curves.get("health/overfitting")
    recent = [point.value for point in overfitting.points[-2:]] if overfitting else []
    values["overfitting_bound"] = min(recent, default=0.0)  # one check alone is uncertain
    limit = facts.config.get("model.augment.max_probability", 1.0)
    values["max_probability"] = limit if isinstance(limit, int | float) else 1.0
    values.setdefault("diversity", 1.0)
    return [(name, values) for name in symptoms(values)]


def training_data(facts: Facts, check_data: bool) -> Html:
    parts = data.check(facts) if check_data and facts.roots else []
    if facts.roots and not check_data:
        parts = [note("The folder of training images was not checked, because of --no-data.")]
    return section("data", "Training data", lead("The images that the network learns from, and the options that decide "
                   "what it sees of them", "; below, what gan data check finds." if parts else "."),
                   data.options_table(facts), *parts)  # fmt: skip


def configuration(facts: Facts) -> Html:
    """Return the command that was typed, and the options."""
    typed = [each for each in facts.starts if isinstance(each.get("command"), list)]
    commands = [command_line(each["command"]) for each in typed[-5:]]
    options = [f"{name}={public(str(value))}" for name, value in facts.choices.items()]
    lines = yaml.safe_dump(public_tree(facts.tree), sort_keys=False, allow_unicode=True)
    whole = tag("details", tag("summary", "All options (config.yaml)"),
                tag("pre", tag("code", block(lines[:MAX_CONFIG] + "\n..." * (len(lines) > MAX_CONFIG)))))  # fmt: skip
    shown = [tag("pre", tag("code", text(each, MAX_COMMAND)), class_="command") for each in commands]
    return section("configuration", "Configuration", lead("The command that started the run, and the options that were "
                   "typed; all others have their default. Paths are shortened to their last name."), shown,
                   tag("p", [tag("code", each) if n == 0 else join(" ", tag("code", each))
                             for n, each in enumerate(options[:MAX_WORDS])]) if options
                   else tag("p", "All options have their default."), whole)  # fmt: skip


def command_line(words: list[Any]) -> str:
    """Return the words of a command as typed, without paths. The program adds resume=null."""
    shown = [public_word(str(word)) for word in words[:MAX_WORDS] if not str(word).startswith("resume=null")]
    if shown:
        shown[0] = PROGRAMS.get(shown[0], shown[0])
    return " ".join(shown)


def machine(facts: Facts) -> Html:
    """Return where and how long the run trained, and its checkpoints."""
    newest = facts.starts[-1] if facts.starts else {}
    packages = newest.get("packages")
    known = list(packages.items())[:20] if isinstance(packages, dict) else []
    versions = [f"{name} {version}" for name, version in known]
    precision, device = facts.config.get("trainer.precision"), facts.config.get("trainer.accelerator")
    rows: list[tuple[Content, Content]] = [
        ("starts", f"{len(facts.starts):,}"),
        ("first start", str(facts.starts[0].get("time", "unknown")) if facts.starts else "unknown"),
        ("training", duration(facts.log.seconds) if facts.log.seconds >= 0 else "unknown"),
        ("machine", public(str(newest.get("machine") or "unknown"))),
        ("CPU cores", str(newest.get("cores") or "unknown")),
        ("accelerator", str(newest.get("device") or newest.get("gpu") or device or "unknown")),
        ("precision", str(precision or "unknown")),
        ("Python", str(newest.get("python") or "unknown")),
        ("code", shortened(str(newest.get("git") or "unknown"), 20)),
        ("packages", ", ".join(versions) or "unknown"),
    ]
    best = facts.best.get("checkpoint")
    files: list[list[Content]] = []
    for n, (name, seen, size) in enumerate(facts.checkpoints):
        marks = [mark for mark, is_it in (("best", name == best), ("last", n == len(facts.checkpoints) - 1)) if is_it]
        files.append([tag("code", name), " and ".join(marks), f"{seen:,}", f"{size / 1e6:,.1f}"])
    listed = (
        table(["file", "", "images seen", "MB"], files[-20:], left=2) if files else note("There is no checkpoint yet.")
    )
    return section("machine", "Machine and checkpoints", lead("Time is that of training alone, without evaluations. "
                   "Best is the checkpoint with the best score; commands use it by default."), pairs(rows),
                   tag("h3", "Checkpoints"), listed)  # fmt: skip


def next_steps(facts: Facts) -> Html:
    """Return commands with what each does."""
    run = scores.shown_path(facts)
    steps = []
    if facts.checkpoints and facts.translates:
        steps.append((f"gan translate {run} PATH translated", "translate photographs"))
    elif facts.checkpoints:
        steps += [
            (f"gan generate {run} --seeds 0-15 --out images --grid", "generate images"),
            (f"gan interpolate {run} --seeds 0-3 --out interpolation.gif --loop", "see how images change"),
        ]
    if facts.checkpoints and not facts.records:
        steps.append((f"gan evaluate {run}", "score the run beside real images, and search for copies"))
    if facts.status != "finished" and facts.checkpoints:
        steps.append((f"gan train resume={run}", "continue to the planned length"))
    elif facts.log.images:
        steps.append((f"gan train resume={run} images={2 * facts.log.images}", "train twice as long"))
    steps.append((f"gan compare {run} runs/OTHER --out curves.png", "compare with another run"))
    return section("next", "Next steps", lead("Commands to type next. Replace the path if your run is in another "
                   "folder."), tag("ol", [tag("li", tag("code", words), tag("span", why))
                                                         for words, why in steps], class_="steps"))  # fmt: skip
