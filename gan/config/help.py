"""The help pages of `gan train --help` and `--help-all`, from the files in conf/. No torch."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from gan.config.paths import CONF, group_files, groups
from gan.utils.errors import train_command

USAGE = """usage: TRAIN [NAME=VALUE ...] [-m] [--config-dir DIR] [--code DIR]

Train a GAN on a folder of retro images.

    TRAIN                                            DCGAN on the built-in images
    TRAIN data=folder data.root=PATH data.size=64    your own folder
    TRAIN model=dcgan data=retro trainer.devices=2   two devices
    TRAIN -m loss=hinge,nonsaturating seed=0,1       a sweep
    TRAIN resume=runs/NAME                           resume a run; resume=auto finds the newest
    tensorboard --logdir runs                        losses and samples

Set an option with NAME=VALUE and choose a file of a group with GROUP=FILE. A list replaces the whole list, for example
callback=[progress,samples,checkpoint], penalty=[r1,r2] or metric=[kid]. In zsh, quote arguments that contain
brackets. hydra.run.dir=runs/NAME names the run folder. `--cfg job` prints the whole configuration.
--config-dir DIR adds your own configurations: experiment=NAME reads DIR/experiment/NAME.yaml. --code DIR adds your own
Python code, which a configuration may name: `_target_: MODULE.CLASS`. Type both options again to resume.
"""
ALL = "--help-all describes each file and shows all options with their defaults."
OPTIONS = """OPTIONS

The names below GROUP=FILE begin with the group: `size` of data=folder is data.size, and `lr` below
`generator_optimizer` of a model is model.generator_optimizer.lr. With `# @package NAME`, they begin with NAME instead.
"""


# Options that people set most, by the file that describes them and the prefix of their names. A name below another key
# is written with a dot.
COMMON = {
    ("data/folder.yaml", "data."): ("root", "size", "channels", "labels", "fit", "flip", "split", "batch_size"),
    ("train.yaml", ""): ("minutes", "images", "seed", "init_from", "freeze.discriminator", "resume", "objective"),
    ("gan.yaml", "model."): ("generator_optimizer.lr", "seamless", "micro_batch"),
    ("trainer/default.yaml", "trainer."): ("devices", "precision"),
}


def help_page() -> str:
    common = [(file, prefix, name) for (file, prefix), names in COMMON.items() for name in names]
    options = [wrapped(f"{prefix + name:<31}{comment(CONF / file, name)}", 31) for file, prefix, name in common]
    files = [wrapped(f"{group:<12}{' '.join(file.stem for file in group_files(group))}", 12) for group in groups()]
    usage = USAGE.replace("TRAIN", train_command())
    return "\n".join([usage, "COMMON OPTIONS", *options, "", "GROUPS, WITH THEIR FILES", *files, "", ALL])


def wrapped(line: str, indent: int) -> str:
    return textwrap.fill(line, 118, initial_indent="  ", subsequent_indent=" " * (indent + 2))


def comment(file: Path, name: str) -> str:
    *above, key = name.split(".")
    text = content(file)
    for part in above:
        text = text[text.index(f"{part}:") :]
    found = re.search(rf"^ *{key}:.*?# (.*)$", text, re.MULTILINE)
    return found[1] if found else ""


def whole_page() -> str:
    """Return usage, what each file of a group is, and the files with all options, as they are."""
    usage = USAGE.replace("TRAIN", train_command())
    parts = [usage, "GROUPS\n"]
    for group in groups():
        parts.append("".join(f"  {group}={file.stem:<16} {headline(file)}\n" for file in group_files(group)))
    parts += [OPTIONS, content(CONF / "train.yaml")]
    for group in groups():
        if group == "model":
            parts += ["---- all models, unless the model sets another value", content(CONF / "gan.yaml")]
        if group not in ("search", "experiment", "debug"):  # they set options of other groups
            parts += [f"---- {group}={file.stem}\n{content(file)}" for file in group_files(group)]
    return "\n".join(parts)


def content(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def headline(file: Path) -> str:
    lines = content(file).splitlines()
    return next((line[1:].strip() for line in lines if line.startswith("#") and "@package" not in line), "")
