"""Show scores: their meaning, those during training, and the tables of `gan evaluate` with the rows of real images."""

from __future__ import annotations

import math
import os
import shlex
from typing import Any

from gan.evaluation import registry
from gan.sharing.report.facts import Facts
from gan.sharing.report.markup import Content, Html, note, table, tag, text
from gan.sharing.report.private import public

FLOOR = "other real images"  # the row of gan evaluate with the best possible scores
VARIES = ("metric", "value", "row", "images", "real")  # fields of a record that are no protocol
GENERATED = "generated"
MAX_ROWS = 40
MAX_EXTRACTORS = 6


def meaning(name: str) -> tuple[str, str]:
    """Return the title of a score such as eval/kid_x1000_lite0, and lower, higher or an empty string."""
    return registry.meaning(name)[:2]


def title_of(name: str) -> Html:
    """Return the title of a score with what is better, and the name under which it is logged."""
    title, better = meaning(name)
    arrow = {"lower": " ↓", "higher": " ↑"}.get(better, "")
    return tag("span", title + arrow, tag("small", " " + name.removeprefix("eval/")))


def range_of(name: str) -> tuple[float, ...]:
    """Return the values that the axis of a score includes: 0 for fractions, whose axis is never logarithmic."""
    return (0.0,) if meaning(name)[1] == "higher" or "copies" in name else ()


def number(value: object) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= 1e30:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def training_scores(facts: Facts) -> list[Html]:
    """Return the table of the scores during training, and its protocol; a note if there are none."""
    log = facts.log
    names = [name for name in log.curves if name.startswith("eval/")]
    if not names:
        return [note("No evaluation was logged. Score the run with ", command("gan evaluate", facts), ".")]
    floors = floor_scores(facts)
    headings: list[Content] = ["score"]
    columns = [("untrained", log.untrained), ("best", log.best), ("newest", log.newest)]
    columns = [(title, values) for title, values in columns if values]
    for title, values in columns:
        seen = values.get("images", 0)
        headings.append(tag("span", title, tag("small", f" at {seen:,} images")))
    headings += ["real images"] if floors else []
    rows = [
        [title_of(name), *(number(values.get(name)) for _, values in columns), *([number(floors.get(name))] if floors
                                                                                else [])]
        for name in sorted(names)[:MAX_ROWS]
    ]  # fmt: skip
    return [table(headings, rows), tag("p", protocol_of_training(facts), class_="protocol")]


def protocol_of_training(facts: Facts) -> str:
    """Return the settings of the evaluation during training as a sentence."""
    get = facts.config.get
    extractors = get("callback.evaluate.extractors")
    names = ", ".join(map(str, extractors)) if isinstance(extractors, list) else "unknown"
    real = "held-out images" if get("data.split") else "training images, because none are held out"
    count, most = get("callback.evaluate.num_images"), get("callback.evaluate.max_real_images")
    shown = f"{count:,}" if isinstance(count, int) else "an unknown number of"
    limit = f"at most {most:,} " if isinstance(most, int) else ""
    monitor = facts.objective.removeprefix("eval/")
    return (f"Protocol: features {names}; {shown} images of the EMA generator against {limit}{real}. "
            f"Best means the lowest {monitor}. Do not compare scores on other features, or precision, recall and "
            "Fréchet distances at other numbers of images.")  # fmt: skip


def floor_scores(facts: Facts) -> dict[str, float]:
    """Return the scores of real images by the names in the log, from gan evaluate; empty if it was not run.

    Fréchet distances are omitted, because they depend on the number of images.
    """
    found: dict[str, float] = {}
    for record in facts.records:
        if record.get("row") == FLOOR and isinstance(value := record.get("value"), int | float) and abs(value) <= 1e30:
            found[f"eval/{record.get('metric')}_{record.get('extractor')}"] = value
    return {name: value for name, value in found.items() if name in facts.log.curves and "/fd_" not in name}


def evaluations(facts: Facts) -> list[Html]:
    """Return a table for each extractor with which gan evaluate last scored the run."""
    made: list[Html] = []
    for extractor in list(dict.fromkeys(str(r.get("extractor")) for r in reversed(facts.records)))[:MAX_EXTRACTORS]:
        of_it = [record for record in facts.records if str(record.get("extractor")) == extractor]
        newest = [record for record in of_it if protocol(record) == protocol(of_it[-1])]
        made += [tag("h3", f"gan evaluate, features {extractor}"), evaluation_table(newest),
                 tag("p", described(newest[-1]), class_="protocol")]  # fmt: skip
    return made or [note("The scores of real images, which are the best possible, are not there yet. Get them with ",
                         command("gan evaluate", facts), ".")]  # fmt: skip


def protocol(record: dict[str, Any]) -> dict[str, Any]:
    """Return the settings on which a score depends."""
    return {name: value for name, value in record.items() if name not in VARIES}


def evaluation_table(records: list[dict[str, Any]]) -> Html:
    """Return the table of `gan evaluate`: a row for the generated images, and rows for real ones."""
    rows: dict[str, dict[str, Any]] = {}
    for record in records:
        if len(rows) < MAX_ROWS or record.get("row") in rows:
            rows.setdefault(str(record.get("row")), {"images": record.get("images"), "real": record.get("real")})[
                f"eval/{record.get('metric')}"
            ] = record.get("value")
    names = list(dict.fromkeys(name for row in rows.values() for name in row if name.startswith("eval/")))[:MAX_ROWS]
    arrows = {"lower": " ↓", "higher": " ↑", "": ""}
    headings: list[Content] = ["", "images", "real", *(meaning(n)[0] + arrows[meaning(n)[1]] for n in names)]
    body: list[list[Content]] = []
    for name, row in rows.items():
        cells = [number(row["images"]), number(row["real"]), *(number(row.get(each)) for each in names)]
        body.append([tag("strong", name), *(tag("strong", c) for c in cells)] if name == GENERATED else [name, *cells])
    return table(headings, body)


def described(record: dict[str, Any]) -> str:
    """Return the protocol of an evaluation as a sentence."""
    parts = [f"resize {record['resize']}"] if record.get("resize") else []
    for name, title in (("reference", "real images"), ("checkpoint", "checkpoint"), ("generator", "generator"),
                        ("seeds", "seeds"), ("k", "k"), ("time", "time")):  # fmt: skip
        if record.get(name) is not None:
            value = record[name]
            words = " to ".join(map(str, value)) if isinstance(value, list) and len(value) == 2 else str(value)
            parts.append(f"{title} {public(words)}")
    return "Protocol: " + "; ".join(parts)


def command(words: str, facts: Facts) -> Html:
    return tag("code", text(f"{words} {shown_path(facts)}"))


def shown_path(facts: Facts) -> str:
    """Return the run as the reader may type it: as it was given if that tells nothing about other folders."""
    folder = facts.folder
    if not folder.is_absolute() and ".." not in folder.parts and folder.name:
        return shlex.quote(folder.as_posix())
    parent = [os.path.basename(os.path.dirname(os.path.abspath(folder)))] if facts.name.isdecimal() else []
    return shlex.quote("/".join(["runs", *parent, facts.name]))


def speed(facts: Facts) -> float:
    """Return images per second of training; NaN if unknown."""
    seconds = facts.log.seconds
    return facts.log.images / seconds if seconds > 0 else math.nan
