"""The model card of a shared model: README.md with the front matter of the Hugging Face Hub. No torch.

Its scores, with their protocol, are those of `gan evaluate`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gan.models import shared_model
from gan.models.hub import HUB
from gan.runs import run_folder
from gan.runs.metrics import is_number, json_lines
from gan.settings import FREE, LICENSES, MODES
from gan.utils.output import one_line
from gan.utils.untrusted import MAX_JSON, parse_yaml, read_bytes

HUB_NAME = re.compile(r"[A-Za-z0-9][\w-]*/[\w.-]+", re.ASCII)  # of a dataset on the Hub
UNKNOWN = "unknown"  # license
BUILTIN = "built-in images of retro-gan"
TASKS = {shared_model.GENERATOR: "unconditional-image-generation", shared_model.TRANSLATOR: "image-to-image"}
NOT_READ = ("reference_sha256", "size", "time")  # settings that only the front matter has
USE = "## Use"  # heading
MAX_CLASSES = 50  # class names that are listed
MAX_BYTES = 64_000_000  # of evaluation.jsonl that are read
MAX_SCORES = 40
SUBJECT = ("generated", "translated")  # rows of `gan evaluate` about the model itself
PROTOCOL = ("extractor", "resize", "images", "real", "generator", "seeds", "reference_sha256", "size", "inputs", "time")


class MeasuredScore(NamedTuple):
    """A number and the settings on which it depends. `reference` says which images were compared with."""

    metric: str
    value: float
    reference: str
    protocol: dict[str, Any]


def compose(
    about: Mapping[str, Any],
    name: str,
    license: str,
    trained_on: str | None,
    scores: Sequence[MeasuredScore],
    samples: str,
    origin: str = "",
    address: str = "DIR",
) -> str:
    """Return the text of README.md for the content of config.json.

    Args:
        trained_on: name of the training images, as the user gives it.
        samples: what samples.png shows; an empty string if there is no such file.
        origin: a paragraph about other models from which this one was made.
        address: of the model in commands, such as hf://USER/NAME.
    """
    front = yaml.safe_dump(front_matter(about, name, license, trained_on, scores), sort_keys=False, allow_unicode=True)
    parts = [f"---\n{front}---", f"# {markdown(name)}", describe_model(about, trained_on)]
    if base := about.get("base"):
        parts.append(f"The file has only the weights that differ from those of `{base}`, which has the others.")
    if origin:
        parts.append(origin)
    if samples:
        parts.append(f"![{samples}]({shared_model.SAMPLES})\n\n{samples}.")
    parts += [usage(about, address), *([table(scores)] if scores else []), files(about)]
    return "\n\n".join(parts) + "\n"


def front_matter(
    about: Mapping[str, Any], name: str, license: str, trained_on: str | None, scores: Sequence[MeasuredScore]
) -> dict[str, Any]:
    """Return the metadata of the Hub, see https://huggingface.co/docs/hub/model-cards."""
    task = TASKS[about["kind"]]
    front: dict[str, Any] = {"license": license}
    if license == shared_model.OTHER:
        front |= {"license_name": "see-license-file", "license_link": shared_model.LICENSE}
    front |= {"library_name": shared_model.LIBRARY, "pipeline_tag": task, "tags": tags(about)}
    if str(about.get("base")).startswith(HUB):
        front["base_model"] = about["base"].removeprefix(HUB).partition("@")[0]
    if trained_on and HUB_NAME.fullmatch(trained_on):
        front["datasets"] = [trained_on]
    if scores:
        data = one_line(trained_on or "images of the author")
        dataset = {"name": data, "type": re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-") or "images"}
        metrics = [
            {"type": metric, "value": value, "name": metric, "args": {**protocol, "reference": reference}}
            for metric, value, reference, protocol in scores
        ]
        results = [{"task": {"type": task}, "dataset": dataset, "metrics": metrics}]
        front["model-index"] = [{"name": name, "results": results}]
    return front


def split(text: str) -> tuple[dict[str, Any], str]:
    """Return the metadata and the rest of the text of a model card that `compose` wrote."""
    _, front, rest = text.split("---\n", 2)
    return yaml.safe_load(front), rest.lstrip("\n")


def read_card(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the metadata and the rest of the text of the card of a shared model."""
    return split((folder / shared_model.CARD).read_text("utf-8"))


def license_of(folder: Path) -> str:
    """Return the license in the card of a shared model, which may be untrusted; `unknown` without a valid one."""
    try:
        text = read_bytes(shared_model.path_in(folder, folder / shared_model.CARD), MAX_JSON).decode()
        license = str(parse_yaml(text.split("---\n", 2)[1])["license"]).lower()
    except Exception:  # a card is for people, and may have any text
        license = UNKNOWN
    return license if license in LICENSES else UNKNOWN


def credit(licenses: Mapping[str, str]) -> str:
    """Return a paragraph that names the models from which the weights come, unless their licenses need none."""
    named = [f"{markdown(name)} ({license})" for name, license in licenses.items() if LICENSES.get(license) != FREE]
    return f"Its weights come from {', '.join(named)}; the card of that model names its authors." if named else ""


def trained_on_of(front: Mapping[str, Any]) -> str:
    """Return the name of the training images in the metadata of a card; an empty string if it has none."""
    if datasets := front.get("datasets"):
        return str(datasets[0])
    index = front.get("model-index")
    return str(index[0]["results"][0]["dataset"]["name"]) if index else ""


def tags(about: Mapping[str, Any]) -> list[str]:
    """Return "gan", the kind of training such as "cyclegan", and the network, unless it is the author's own."""
    training, network = str(about["model"]["_target_"]), target_of(about)
    kind = [training.rpartition(".")[2].lower()] if training.startswith("gan.training.") else []
    built_in = [network.split(".")[2]] if network.startswith("gan.networks.") else []
    return list(dict.fromkeys(["gan", *kind, *built_in]))


def target_of(about: Mapping[str, Any]) -> str:
    """Return the dotted name of the generator's class; of a translator in both directions, that of one direction."""
    node = about["model"]["generator"]
    return str(node.get("a2b", node).get("_target_") if isinstance(node.get("a2b", node), Mapping) else "")


def markdown(text: object) -> str:
    """Return text in one line, in which no character is markup."""
    return re.sub(r"([\\`*_\[\]<>#|!$&~])", r"\\\1", one_line(text))


def describe_model(about: Mapping[str, Any], trained_on: str | None) -> str:
    """Return a paragraph about the model."""
    network = f"`{target_of(about)}`"
    pixels = f"{side_lengths(about)} pixels ({MODES.get(about['data']['channels'], '')})"
    data = f", trained on {markdown(trained_on)}" if trained_on else ""
    if about["kind"] == shared_model.TRANSLATOR:
        both = " in both directions" if "b2a" in about["model"]["generator"] else ""
        text = f"A network ({network}) that translates images{both}{data}, at {pixels}."
    else:
        text = f"A GAN ({network}) that generates images of {pixels}{data}."
    if shared_model.ORIGIN in about:
        text += f" Its weights were imported from a file of {markdown(about[shared_model.ORIGIN])}."
    elif about["kind"] == shared_model.TRANSLATOR and about["images"] == 0:
        text += " Its weights are those of the start of the run, because training did not improve the scores."
    else:
        text += f" It has seen {about['images']:,} images in training."
    if names := about["classes"]:
        more = f" and {len(names) - MAX_CLASSES:,} more" if len(names) > MAX_CLASSES else ""
        text += f" Classes: {', '.join(map(markdown, names[:MAX_CLASSES]))}{more}."
    return text


def side_lengths(about: Mapping[str, Any]) -> str:
    """Return the size of the images as text, such as 64x96."""
    size = about["data"]["size"]
    height, width = size if isinstance(size, list) else (size, size)
    return f"{width}x{height}"


def usage(about: Mapping[str, Any], address: str) -> str:
    """Return how to use the model, which commands call by an address."""
    foreign = not target_of(about).startswith("gan.networks.")
    code = " --code CODE" if foreign else ""
    if about["kind"] == shared_model.TRANSLATOR:
        command = f"gan translate {address} PHOTOGRAPHS translated{code}"
        python = f'gan.load("{address}").translate("photo.jpg").save("translated.png")'
    else:
        command = f"gan generate {address} --seeds 0-15 --out images --grid{code}"
        python = f'gan.load("{address}").sample(16, seed=0).save("images")'
    note = ""
    if foreign:
        module = target_of(about).rpartition(".")[0]
        note = (
            f"\n\nThe network is the author's own and not part of retro-gan. `CODE` is a folder with the module "
            f"`{one_line(module)}`; get it from the author, and read it first, because it runs on your computer. In "
            'Python, call `gan.utils.code.add("CODE")` first.'
        )
    which, install = "", "install the extra: `pip install 'retro-gan[hub]'`.\n\n"
    if address == "DIR":
        which = (
            "`DIR` is this folder. For a model on the Hugging Face Hub, give `hf://USER/NAME` in its place, and first "
        )
        which += install
    elif address.startswith(HUB):
        which = f"First {install}"
    return f"{USE}\n\n{which}```\n{command}\n```\n\n```python\nimport gan\n\n{python}\n```{note}"


def with_address(text: str, about: Mapping[str, Any], address: str) -> str:
    """Return the text of a card whose commands call the model by its address."""
    before, rest = text.split(f"{USE}\n", 1)
    return before + usage(about, address) + "\n\n## " + rest.split("\n## ", 1)[1]


def table(scores: Sequence[MeasuredScore]) -> str:
    """Return the main scores: a table for each protocol, which is the line above it."""
    groups: dict[str, list[MeasuredScore]] = {}
    for score in scores:
        settings = {name: value for name, value in score.protocol.items() if name not in NOT_READ}
        protocol = "; ".join(f"{name} {value}" for name, value in settings.items() if value not in ("", None))
        groups.setdefault(f"Compared with {score.reference} images; {protocol}:", []).append(score)
    parts = ["## Scores"]
    for line, group in groups.items():
        rows = [[markdown(score.metric) for score in group], ["---"] * len(group)]
        rows.append([f"{score.value:.4g}" for score in group])
        parts += [markdown(line), "\n".join(f"| {' | '.join(row)} |" for row in rows)]
    return "\n\n".join(parts)


def files(about: Mapping[str, Any]) -> str:
    """Return what the files are."""
    discriminator = ", and the discriminator" if "discriminator" in about["model"] else ""
    network = "translator" if about["kind"] == shared_model.TRANSLATOR else "generator"
    return (
        f"## Files\n\n`{shared_model.WEIGHTS}` has the weights of the EMA {network}{discriminator}; "
        f"`{shared_model.CONFIG}` describes the networks and the decoding of images. Neither contains code."
    )


def read_scores(run: Path, checkpoint: str, images: int) -> list[MeasuredScore]:
    """Return the scores that `gan evaluate` measured for a checkpoint, by its file name and number of images seen."""
    evaluations = evaluated(run / run_folder.EVALUATION, checkpoint, images)
    newest = {(score.metric, score.protocol.get("extractor"), score.reference): score for score in evaluations}
    return list(newest.values())[:MAX_SCORES]


def evaluated(path: Path, checkpoint: str, images: int) -> Iterator[MeasuredScore]:
    """Yield the scores of `gan evaluate` for the default EMA of a checkpoint, oldest first."""
    wanted = {"checkpoint": checkpoint, "images_seen": images, "ema": None}  # older records name another EMA
    for line in json_lines(path, MAX_BYTES):
        value: Any = line.get("value")
        metric = line.get("metric")
        if not is_number(value) or not math.isfinite(value) or not isinstance(metric, str):
            continue
        if line.get("row") in SUBJECT and all(line.get(name) == wanted[name] for name in wanted):
            part = str(line.get("reference")).rpartition(":")[2]
            reference = {"val": "held-out", "train": "training"}.get(part, "other")
            protocol = {name: plain(line[name]) for name in PROTOCOL if name in line}
            yield MeasuredScore(one_line(metric[:100]), float(value), reference, protocol)


def plain(value: object) -> Any:
    """Return a number, or a list of numbers, or else the value as a short line of text."""
    if is_number(value) or (isinstance(value, list) and all(map(is_number, value))):
        return value
    return one_line(str(value)[:200])
