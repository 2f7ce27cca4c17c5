"""Say what is wrong with a run, why, and which option to change."""

from __future__ import annotations

import argparse
import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from gan.commands import options
from gan.config.compose import recipe_rates
from gan.config.overrides import as_list, key_of, without
from gan.report.facts import Facts, read_facts
from gan.runs import health, run_folder
from gan.runs.comparison import find_named
from gan.runs.metrics import Objective
from gan.utils.errors import UserError, reason, train_command
from gan.utils.output import duration, print_line

MAX_FINDINGS = 5
LONGER = 2  # times the images seen, for which a curve is continued
QUOTED = re.compile(r"'([\w./+-]+)'")  # an override whose quotes Hydra does not need
# What is no fault of a translator, which learns from few images, and whose outputs show the contents of its inputs
OF_GENERATORS = ("files", "images", "inverted", "constant", "copies", "diversity")


class Diagnosis(NamedTuple):
    """What is known of a run."""

    folder: Path
    facts: Facts
    values: dict[str, Any]  # for the rules of `gan.runs.health`
    notes: list[str]  # what could not be examined, and why


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="RUN", type=options.existing_source, help="run folder")
    parser.add_argument("--json", action="store_true", help="print findings and all values as JSON")
    options.add_weights(parser)


def run(arguments: argparse.Namespace) -> None:
    folder, *others = find_named([arguments.source])
    if others:
        raise UserError(f"{arguments.source}: has several runs; give one of them")
    with redirect_stdout(sys.stderr):  # keep standard output for the findings
        diagnosis = examine(folder, arguments.checkpoint, options.prepare_device(arguments))
    found = [
        {"name": name, "seen": seen, "cause": rule.cause, "remedy": rule.remedy, "command": command(rule, diagnosis),
         "page": health.page_of(name)}
        for name, seen, rule in list(health.findings(diagnosis.values))[:MAX_FINDINGS]
    ]  # fmt: skip
    if arguments.json:
        print(json.dumps({"run": str(folder), "findings": found, "values": diagnosis.values, "notes": diagnosis.notes}))
        return
    for n, one in enumerate(found, 1):
        print_line(f"{n}. {one['seen']}")
        print_line(f"   cause: {one['cause']}; see {one['page']}")
        print_line(f"   try: {one['remedy']}")
        if one["command"]:
            print_line(f"   {one['command']}")
    if not found:
        print_line(f"nothing found; {expectation(diagnosis)}")
    for note in diagnosis.notes:
        print_line(f"note: {note}")


def examine(folder: Path, checkpoint: str = "best", device: str = "cpu") -> Diagnosis:
    """Return the values of a run, and notes on what cannot be examined."""
    from gan.evaluation import symptoms

    facts = read_facts(folder)
    values: dict[str, Any] = health.newest_values(facts.log, facts.config)
    values |= health.values_of_curve(facts.log, Objective.of(facts.tree))
    device_of_run = facts.starts[-1].get("device") if facts.starts else None
    values |= symptoms.of_options(facts.config, recipe_rates(facts.choices, device_of_run))
    roots = [root for name in ("root", "b") for root in as_list(facts.config.get(f"data.{name}")) if root]
    notes, newest = list(facts.notes), values.get("diversity", 1.0)
    for what, measure in (
        ("the images of the run", lambda: symptoms.of_model(folder, checkpoint, device)),
        ("the training images", lambda: symptoms.of_files(roots, facts.config) if roots else {}),
    ):
        try:
            values |= measure()
        except run_folder.DAMAGED as error:
            notes.append(f"{what} were not examined: {reason(error)}")
    if "diversity" in values:  # the best checkpoint may be older than a collapse
        values["diversity"] = min(newest, values["diversity"])
    if facts.translates:
        values = {name: value for name, value in values.items() if name not in OF_GENERATORS}
    return Diagnosis(folder, facts, values, notes)


def command(rule: health.Rule, diagnosis: Diagnosis) -> str:
    """Return the command that follows a remedy; empty if no option does, or none that the model of the run has."""
    folder, config = diagnosis.folder, diagnosis.facts.config
    more = {"run": folder, "more_images": LONGER * diagnosis.values.get("images", 0)}
    try:
        words = [word.format(**diagnosis.values, **more) for word in rule.options.split()]
        typed = [QUOTED.sub(r"\1", word) for word in run_folder.read_overrides(folder)]
    except run_folder.DAMAGED:  # the run has no such option, or its overrides cannot be read
        return ""
    words = [word for word in words if not key_of(word).startswith("model.") or key_of(word) in config]
    if not words or rule.resumes:
        return train_command(*words) if words else ""
    if words[0].startswith("experiment="):  # which has a model of its own
        typed = [word for word in typed if not key_of(word).startswith("model")]
    return train_command(*without(typed, "hydra.run.dir", "resume", *map(key_of, words)), *words)


def expectation(diagnosis: Diagnosis) -> str:
    """Return what the curve suggests after further training."""
    log, doubled = diagnosis.facts.log, diagnosis.values.get("doubled")
    score = log.newest.get(diagnosis.facts.objective)
    if not doubled or not score or not log.seconds > 0:
        return "there are too few scores for an expectation"
    name = diagnosis.facts.objective.removeprefix("eval/")
    if doubled > 0.97:
        return f"{name} hardly falls any more; more images or a larger network may lower it"
    longer = train_command(f"resume={diagnosis.folder}", f"images={LONGER * log.images}", "minutes=null")
    return f"expect {name} {score * doubled:.0f} in place of {score:.0f} after {duration(log.seconds)} more: {longer}"
