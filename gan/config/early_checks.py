"""Check and complete a command line before torch is imported: missing paths and libraries, options that follow from
others (the data group from paths, networks from init_from), and words of other programs.

Values are checked by the constructors of the parts that use them.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan.config.compose import compose, options, unresolved
from gan.config.overrides import first_alternative, is_group, key_of, value_of
from gan.config.paths import group_names, groups
from gan.data.looks import is_table
from gan.runs import run_folder
from gan.utils import object_store
from gan.utils.errors import UserError, did_you_mean, install, path_hint
from gan.utils.option_values import flatten, pair, with_home
from gan.utils.output import print_line
from gan.utils.untrusted import MAX_OPTION

GAN = "gan.training.module.GAN"
PIX2PIX = "gan.training.translation.Pix2Pix"
PATHS = ("data.root", "data.a", "data.b")
NETWORKS = ("model.generator.", "model.discriminator.")  # prefixes of the options of networks
HUGGING_FACE = "gan.data.sources.huggingface.data_module"
# Options that need init_from -> the values that mean "not set".
STARTS: dict[str, tuple[Any, ...]] = {
    "freeze.generator": (0, []),
    "freeze.discriminator": (0, []),
    "model.kept_lr_factor": (1,),
}
DEFAULT = "retro"  # the data of conf/train.yaml, which needs no path
NAME = re.compile(r"[A-Za-z_]\w*")  # values that need no quotes
LEFT = ("._target_", ".norm")  # the norm of a discriminator belongs to the penalty of this run
DEVICE_RULES, SIZE_RULE = ("${by_device", "${width"), "${derived:stylegan2_width"  # in the values of conf/


def check(values: Mapping[str, Any], resumed: bool = False) -> None:
    """Raise UserError if a path or a library is missing, or an option would have no effect.

    Args:
        values: `gan.config.compose.literals` of the configuration.
        resumed: whether the run is resumed; its folders may have been moved.
    """
    if missing := [name for name, value in values.items() if value == "???" and name.startswith("data.")]:
        words = " ".join(f"{name}={'FOLDER' if name in PATHS else 'VALUE'}" for name in missing)
        raise UserError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; add {words}")
    if values.get("data._target_") == HUGGING_FACE and find_spec("datasets") is None:
        raise UserError(f"data=huggingface needs the datasets library: {install('hub')}")
    moved = " (if you have moved it, add its new path and resume_force=true)" if resumed else ""
    for name, path, what in paths(values):
        if not os.path.exists(path):
            raise UserError(f"{name}={path}: there is no such {what}{path_hint(path)}{moved}")
    for name, value in values.items():  # with larger ones it would train, but the run could not be read again
        limit = MAX_OPTION if name.startswith(NETWORKS) else (1 << 63) - 1
        if isinstance(value, int | float) and limit < abs(value) < math.inf:
            raise UserError(f"{name}={value}: is out of range: the largest number is {limit:,}")
    if not resumed:
        check_start(values)


def paths(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield option, path and kind of each path that the data reads; raise UserError if it is the folder of a run."""
    if not str(values.get("data._target_")).startswith("gan.data.") or values.get("data._target_") == HUGGING_FACE:
        return
    for name in PATHS:
        value = values.get(name)
        for root in map(str, value if isinstance(value, list) else [] if value is None else [value]):
            if object_store.is_remote(root):
                object_store.check_library(object_store.check_address(f"{name}={root}", root))
            elif run_folder.is_run(Path(with_home(root))):
                raise UserError(f"{name}={root}: is the folder of a run; give a folder of images")
            else:
                yield name, with_home(root), "folder or zip archive"
    style, labels = values.get("data.style"), values.get("data.labels")
    for word in map(str, style if isinstance(style, list) else [style]):
        if is_table(word):
            yield "data.style", with_home(word), "color table"
    if isinstance(labels, str):
        yield "data.labels", with_home(labels), "table of labels"


def check_start(values: Mapping[str, Any]) -> None:
    """Raise UserError if init_from is no model, or if an option has an effect only with it."""
    if values.get("resume"):
        return
    if values.get("init_from"):
        init_from_options(str(values["init_from"]))
    elif values.get("init_from") == "" or any(name.startswith("init_from.") for name in values):
        raise UserError("init_from: give one path, or zoo:NAME")
    elif used := [name for name, unset in STARTS.items() if values.get(name, unset[0]) not in unset]:
        raise UserError(f"{used[0]}={values[used[0]]}: has an effect only with init_from=RUN")


def init_from_options(text: str) -> dict[str, Any]:
    """Return the options of the model of init_from; empty for a checkpoint outside of a run, and for the Hub.

    A model on the Hub is downloaded later.
    """
    from gan.models import address, shared_model
    from gan.runs import remote

    if text.startswith(address.HUB):
        return {}
    if object_store.is_remote(text):
        source = remote.download(text)
    else:
        source = address.zoo_folder(text) if text.startswith(address.ZOO) else Path(with_home(text))
    if not source.exists():
        hint = address.zoo_hint(text) or path_hint(source)
        raise UserError(f"init_from={text}: no such run folder, checkpoint or shared model{hint}")
    if shared_model.is_shared(source):
        return flatten({"model": shared_model.read_about(shared_model.weights_of(source).parent)["model"]})
    run = run_folder.folder_of(source)
    if hint := run_folder.hint_inside(run):
        raise UserError(f"init_from={text}: is not a run folder; {hint}")
    return flatten(run_folder.read_config(run)) if (run / run_folder.CONFIG).is_file() else {}


# ---- options that follow from others


def with_data(typed: list[str], quiet: bool = False) -> list[str]:
    """Return the overrides with `data=` added, if they give paths of data and neither they nor an experiment set it.

    Print a line that names the choice, unless `quiet`.
    """
    paths = [path for path in PATHS if value_of(typed, path) not in (None, "", "null")]
    if not paths or any(key_of(word) == "data" for word in typed):
        return typed
    cfg = compose([first_alternative(word) for word in typed if is_group(key_of(word))])
    if cfg.hydra.runtime.choices.data != DEFAULT:
        return typed
    name = data_for(paths, cfg.model.get("_target_"), cfg.hydra.runtime.choices.model)
    if not quiet:
        print_line(f"using data={name}, because {paths[0]} is set")
    return [f"data={name}", *typed]


def data_for(paths: list[str], target: str | None, model: str) -> str:
    """Return the data group for the typed options with paths, and a class of models."""
    if target == PIX2PIX:
        return "paired"
    if target == GAN:
        if paths == ["data.root"]:
            return "folder"
        raise UserError(
            f"{paths[-1]} is for translators, but model={model} generates images; add model=cyclegan, "
            "or write data.root=PATH, for several folders data.root=[PATH,PATH]"
        )
    if "data.root" in paths:
        raise UserError(
            f"model={model} needs two folders: write data.a=PATH data.b=PATH instead of data.root, "
            "or add data=retro_filter to learn a built-in style"
        )
    return "unpaired"


def with_networks(typed: list[str], cfg: Any) -> list[str]:
    """Return the overrides with the options of the networks of `init_from` that differ and have their default here.

    Print a line that names them. Of the values that follow from the data, only its size and channels are taken.

    Args:
        cfg: the configuration that Hydra composes from the overrides.
    """
    if not cfg.init_from:
        return typed
    ours, choices = unresolved(cfg), cfg.hydra.runtime.choices
    defaults = options([f"model={choices.model}", f"data={choices.data}"])
    chosen = {key_of(word) for word in typed} | {name for name in ours if ours[name] != defaults.get(name)}
    words = [f"{name}={value}" for name, value in differing(init_from_options(str(cfg.init_from)), ours, chosen)]
    if words:
        print_line(f"init_from={cfg.init_from}: networks as in that model: {' '.join(words)}")
    return [*words, *typed]


def differing(theirs: dict[str, Any], ours: dict[str, Any], chosen: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the options to take: size, channels, and whole numbers and names that shape a network.

    Args:
        theirs, ours: options of the other model and of this one; those of this one may be interpolations.
        chosen: names of options that are not taken.
    """
    before, now = sides(theirs.get("model.generator.size")), sides(ours.get("data.size"))
    if before and before != now and "data.size" not in chosen:
        now = before
        yield "data.size", before[0] if before[0] == before[1] else f"[{before[0]},{before[1]}]"
    channels = theirs.get("model.generator.channels")
    if type(channels) is int and channels != ours.get("data.channels", channels) and "data.channels" not in chosen:
        yield "data.channels", channels
    for role in ("generator", "discriminator"):
        if theirs.get(f"model.{role}._target_") != ours.get(f"model.{role}._target_"):
            continue
        for name, value in ours.items():
            follows_data = str(value).startswith("${") and not str(value).startswith(DEVICE_RULES)
            follows_size = SIZE_RULE in str(value) and before != now
            if not name.startswith(f"model.{role}.") or name in chosen or follows_data or follows_size:
                continue
            other = theirs.get(name)
            shapes_weights = type(other) is int or (isinstance(other, str) and NAME.fullmatch(other))
            if shapes_weights and other != value and not name.endswith(LEFT):
                yield name, other


def sides(size: Any) -> tuple[int, int] | None:
    """Return (height, width); None if it is not given, or depends on the device."""
    try:
        return pair(size)
    except UserError:
        return None


# ---- words of other programs and of Lightning's Trainer: an error message tells ours

LENGTH = "set the length with images=N (all images seen: epochs x images of the folder) or minutes=N"

# Words (lower case, _ for -) -> what to type instead; {} is the value, or VALUE if there is none.
ANSWERS: dict[str, str] = {}
for _names, _answer in (
    ("epochs max_epochs num_epochs n_epochs", LENGTH),
    ("steps max_steps iterations", "set the length with images=N (steps x data.batch_size) or minutes=N"),
    ("kimg", "write images={}000"),
    ("lr learning_rate", "write model.generator_optimizer.lr={} model.discriminator_optimizer.lr={}"),
    ("batch_size batch b", "write data.batch_size={}, the total of all devices"),
    ("accumulate_grad_batches", "write model.micro_batch=IMAGES, the largest part of a batch in one forward pass"),
    ("gpus num_gpus", "write trainer.devices={}"),
    ("gpu cuda device cpu", "write trainer.accelerator=gpu or trainer.accelerator=cpu"),
    ("fp16 amp bf16 mixed_precision", "write trainer.precision=bf16-mixed or 16-mixed"),
    ("image_size img_size resolution size", "write data.size={}, or data.size=[HEIGHT,WIDTH]"),
    ("dataset data_dir dataroot data_root folder", "write data.root={}"),
    ("cond", "write data.labels=true to use sub-folders as classes"),
    ("mirror hflip", "write data.flip=true"),
    ("out outdir output save_dir name run default_root_dir", "write hydra.run.dir=runs/NAME"),
    ("ckpt ckpt_path checkpoint resume_from", "write resume=runs/NAME to continue a run, or init_from=runs/NAME to "
     "start from its weights"),
    ("pretrained finetune", "write init_from=runs/NAME, a run of the same model"),
    ("snap save_every", "write callback.checkpoint.interval=IMAGES"),
    ("arch network cfg", "write model=NAME; python train.py --help lists the models"),
    ("gamma", "write penalty=[r1] penalty.r1.weight={}"),
    ("aug ada", "write augment=ada, augment=diffaugment or augment=none"),
    ("gradient_clip_val", "gradients are not clipped; lower the learning rates or add a penalty"),
    ("fast_dev_run", "write debug=fast"),
):  # fmt: skip
    ANSWERS |= dict.fromkeys(_names.split(), _answer)

FIXED = "trainer.max_epochs=-1"  # the value of conf/
LISTS = ("logger", "callback", "penalty", "metric")  # groups with several files per run
WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--info", "-i", "--code"}
FLAGS = WITH_VALUE | {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"}
FLAGS |= {"--shell-completion", "-sc"}


def answer(name: str, value: str | None = None) -> str | None:
    """Return what to type instead of a word of another program; None if it is not known."""
    text = ANSWERS.get(name.lower().replace("-", "_"))
    return text and text.replace("{}", value or "VALUE")


def describe_foreign(key: str, value: str | None = None) -> str | None:
    """Return a line about an option KEY that does not exist, by its whole name or its last part; None if unknown."""
    name = key.rpartition(".")[2]
    text = answer(name, value) if len(name) > 1 else None
    return text and f"{key}: no such option; {text}"


def check_words(words: Sequence[str], known: Callable[[], Collection[str]]) -> None:
    """Raise UserError for the first argument that is not ours, such as a flag or a path without a name.

    Args:
        known: returns the options of the default configuration, and the groups; called only if there is an error.
    """
    values = {index + 1 for index, word in enumerate(words) if word in WITH_VALUE}
    for index, word in enumerate(words):
        if index in values:
            continue
        if word.startswith("-"):
            check_flag(word, words[index + 1] if index + 1 < len(words) else None, known)
        elif word == "=" or ("=" not in word and (not word.startswith("~") or word.startswith("~/"))):
            raise UserError(describe_bare(word, known))
        else:
            check_option(word, "-m" in words or "--multirun" in words)
            if word.startswith("+") and not {"--config-dir", "-cd"} & set(words):  # whose files may read it
                check_added(word, known)


def check_added(word: str, known: Callable[[], Collection[str]]) -> None:
    """Raise UserError if +KEY=VALUE adds an option that nothing reads."""
    tops = {name.partition(".")[0] for name in known()} | {"hydra"}
    if (top := re.split(r"[=@./]", word.lstrip("+"))[0]) not in tops:
        raise UserError(f"{word}: no such option; {did_you_mean(top, tops)}")


def check_flag(word: str, following: str | None, known: Callable[[], Collection[str]]) -> None:
    """Raise UserError if a flag such as --epochs or --epochs=10 is not one of Hydra's or ours."""
    flag, _, value = word.partition("=")
    if flag in FLAGS:
        return
    value = value or (following if following and not following.startswith("-") and "=" not in following else "")
    name = flag.lstrip("-")
    if (hint := answer(name, value)) is None:
        options = known()
        ours = name if name in options else name.replace("-", "_")
        hint = f"options are written NAME=VALUE; {did_you_mean(name, options)}"
        if ours in options:
            ours = "data.root" if ours == "data" and "/" in value else ours
            hint = f"options have no dashes; write {ours}={value or 'VALUE'}"
    raise UserError(f"{word}: no such option; {hint}")


def describe_bare(word: str, known: Callable[[], Collection[str]]) -> str:
    """Return a line about an argument without `=`, such as a folder, a run or a value after a flag or a space."""
    path = Path(os.path.expanduser(word))
    start = f"{word}: options are written NAME=VALUE"
    if (path / "checkpoints").is_dir() or path.suffix == ".ckpt":
        return f"{start}; to continue this run, write {shlex.quote(f'resume={word}')}"
    if os.path.exists(path):
        return f"{start}; to train on it, write {shlex.quote(f'data.root={word}')}"
    if groups_with_it := [group for group in groups() if word in group_names(group)]:
        return f"{start}; write {groups_with_it[0]}={word}"
    if text := answer(word):
        return f"{word}: no such option; {text}"
    options = known()
    if word in options or word == "=":
        return f"{word}: write {word if word in options else 'NAME'}=VALUE without spaces around ="
    return f"{start}; {did_you_mean(word, options)}"


def check_option(word: str, sweep: bool = False) -> None:
    """Raise UserError for an option that would be accepted without effect, or with a value of another program."""
    name, _, value = word.partition("=")
    key = name.lstrip("+~").partition("@")[0]
    idle = key.startswith("trainer.") and word != FIXED  # Lightning's Trainer takes some words, without effect here
    if (idle or (name.startswith("+") and "." not in key)) and (text := describe_foreign(key, value)):
        raise UserError(text)
    none = value.lower() in ("none", "false", "null", "no", "off")  # of other programs, to switch a part off
    if key in LISTS and (none or (not sweep and re.fullmatch(r"\w+(,\w+)+", value))):
        raise UserError(f"{word}: is a list; write {key}=[{'' if none else value}]")
