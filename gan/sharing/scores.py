"""The scores of a shared model, with their protocol, from evaluation.jsonl or metrics.jsonl of its run. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gan.common.output import one_line
from gan.run import run_folder
from gan.run.metrics import is_number, json_lines, read_metrics

MAX_BYTES = 64_000_000  # of evaluation.jsonl that are read
MAX_SCORES = 40
SUBJECT = ("generated", "translated")  # rows of `gan evaluate` about the model itself
PROTOCOL = ("extractor", "resize", "images", "real", "generator", "seeds", "reference_sha256", "size", "inputs", "time")


class Score(NamedTuple):
    """A number and the settings on which it depends. `reference` says which images were compared with."""

    metric: str
    value: float
    reference: str
    protocol: dict[str, Any]


def read(run: Path, checkpoint: str, images: int, config: Mapping[str, Any]) -> list[Score]:
    """Return the scores of a checkpoint: those of `gan evaluate`, or else those of the training log.

    Args:
        run: a run folder.
        checkpoint: file name.
        images: number of images seen at the checkpoint.
        config: configuration of the run.
    """
    found = {
        (score.metric, score.protocol.get("extractor"), score.reference): score
        for score in evaluated(run / run_folder.EVALUATION, checkpoint, images)
    }
    return list(found.values() or logged(run, images, config))[:MAX_SCORES]


def evaluated(path: Path, checkpoint: str, images: int) -> Iterator[Score]:
    """Yield the scores of `gan evaluate` for the default EMA of a checkpoint, oldest first."""
    for line in json_lines(path, MAX_BYTES):
        if not is_number(line.get("value")) or not math.isfinite(line["value"]):
            continue
        if line.get("checkpoint") != checkpoint or line.get("images_seen") != images or line.get("ema") is not None:
            continue
        if line.get("row") in SUBJECT and isinstance(line.get("metric"), str):
            part = str(line.get("reference")).rpartition(":")[2]
            reference = {"val": "held-out", "train": "training"}.get(part, "other")
            protocol = {name: plain(line[name]) for name in PROTOCOL if name in line}
            yield Score(one_line(line["metric"][:100]), float(line["value"]), reference, protocol)


def plain(value: Any) -> Any:
    """Return a number, or a list of numbers, or else the value as a short line of text."""
    if is_number(value) or (isinstance(value, list) and all(map(is_number, value))):
        return value
    return one_line(str(value)[:200])


def logged(run: Path, images: int, config: Mapping[str, Any]) -> Iterator[Score]:
    """Yield the scores that training logged at a number of images."""
    line: dict[str, Any] = next((each for each in reversed(read_metrics(run / run_folder.METRICS))
                 if each["images"] == images and any(name.startswith("eval/") for name in each)), {})  # fmt: skip
    callback = config.get("callback")
    settings = callback.get("evaluate") if isinstance(callback, Mapping) else None
    number = settings.get("num_images") if isinstance(settings, Mapping) else None
    split = isinstance(config.get("data"), Mapping) and config["data"].get("split") is not None
    reference = "held-out, if there were enough, or training" if split else "training"
    protocol = {"generator": "EMA"} | ({"images": number} if is_number(number) else {})
    for name, value in line.items():
        if name.startswith("eval/") and math.isfinite(value):
            metric = one_line(name.removeprefix("eval/")[:100])
            yield Score(metric, float(value), reference, {**protocol, "measured": "during training"})
