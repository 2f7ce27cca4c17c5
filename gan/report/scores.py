"""Show scores: their meaning, those during training, and the tables of `gan evaluate` with the rows of real images."""

from __future__ import annotations

from typing import Any, NamedTuple

from gan.evaluation import registry
from gan.report.facts import Facts, public

ARROWS = {"lower": " ↓", "higher": " ↑", "": ""}
FLOOR = "other real images"  # the row of gan evaluate with the best possible scores
VARIES = ("metric", "value", "row", "images", "real")  # fields of a record that are no protocol
PROTOCOL = (("resize", "resize"), ("reference", "real images"), ("checkpoint", "checkpoint"),
            ("generator", "generator"), ("seeds", "seeds"), ("k", "k"), ("time", "time"))  # fmt: skip
MAX_ROWS = 40
MAX_EXTRACTORS = 6


class Table(NamedTuple):
    """A table of texts. The first `left` columns are texts, the others numbers."""

    headings: list[str]
    rows: list[list[str]]
    left: int = 1


def meaning(name: str) -> tuple[str, str]:
    """Return the title of a score such as eval/kid_x1000_lite0, and lower, higher or an empty string."""
    return registry.meaning(name)[:2]


def title_of(name: str, logged: bool = True) -> str:
    """Return the title of a score with what is better, and the name under which it is logged."""
    title, better = meaning(name)
    return f"{title}{ARROWS[better]}" + f" ({name.removeprefix('eval/')})" * logged


def is_fraction(name: str) -> bool:
    """Return whether the axis of a score includes 0, and is never logarithmic."""
    return meaning(name)[1] == "higher" or "copies" in name


def number(value: object) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= 1e30:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def training_scores(facts: Facts) -> Table | None:
    """Return the table of the scores during training; None if there are none."""
    log, floors = facts.log, floor_scores(facts)
    names = sorted(name for name in log.curves if name.startswith("eval/"))[:MAX_ROWS]
    columns = [(title, values) for title, values in (("untrained", log.untrained), ("best", log.best),
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
    return (f"Protocol: features {names}; {count} images of the EMA generator against at most {limit} {real}. "
            f"Best means the lowest {facts.objective.removeprefix('eval/')}. Do not compare scores on other features, "
            "or precision, recall and Fréchet distances at other numbers of images.")  # fmt: skip


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
    """Return the settings on which a score depends."""
    return {name: value for name, value in record.items() if name not in VARIES}


def plain(value: object) -> str:
    """Return a value of an option as a user types it."""
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
