"""Check a command line before torch is imported: words of other programs, missing paths and libraries.

Values are checked by the constructors of the parts that use them.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan.config.paths import group_names, groups
from gan.data.looks import is_table
from gan.runs import run_folder
from gan.utils import object_store
from gan.utils.errors import UserError, did_you_mean, install, path_hint
from gan.utils.nested import flatten, with_home
from gan.utils.untrusted import MAX_OPTION

GAN = "gan.training.module.GAN"
PIX2PIX = "gan.training.translation.Pix2Pix"
TRANSLATORS = (PIX2PIX, "gan.training.translation.Translator", "gan.training.translation.CycleGAN")
PATHS = ("data.root", "data.a", "data.b")
NETWORKS = ("model.generator.", "model.discriminator.")  # prefixes of the options of networks
HUGGING_FACE = "gan.data.sources.huggingface.data_module"
# Options that need init_from -> the values that mean "not set".
STARTS: dict[str, tuple[Any, ...]] = {
    "freeze.generator": (0, []),
    "freeze.discriminator": (0, []),
    "model.kept_lr_factor": (1,),
}


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
    if not resumed:
        check_numbers(values)
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


def check_numbers(values: Mapping[str, Any]) -> None:
    """Raise UserError for numbers that could be trained with, but with which the run could not be read again."""
    for name, value in values.items():
        if isinstance(value, int) and abs(value) >= 1 << 63:
            raise UserError(f"{name}={value}: must have fewer than 64 bits")
        if name.startswith(NETWORKS) and isinstance(value, int | float) and abs(value) > MAX_OPTION:
            raise UserError(f"{name}={value}: is out of range: the largest number is {MAX_OPTION:,}")


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


# ---- words of other programs and of Lightning's Trainer: an error message tells ours

LENGTH = "set the length with images=N (all images seen: epochs x images of the folder) or minutes=N"

# Words (lower case, _ for -) -> what to type instead; {} is the value, or VALUE if there is none.
ANSWERS: dict[str, str] = {}
for _names, _answer in (
    ("epochs max_epochs num_epochs n_epochs", LENGTH),
    ("steps max_steps iterations", "set the length with images=N (steps x data.batch_size) or minutes=N"),
    ("max_time", "set the length with minutes=N"),
    ("kimg", "write images={}000"),
    ("lr learning_rate", "write model.generator_optimizer.lr={} model.discriminator_optimizer.lr={}"),
    ("batch_size batch b", "write data.batch_size={}, the total of all devices"),
    ("accumulate_grad_batches", "write model.micro_batch=IMAGES, the largest part of a batch in one forward pass"),
    ("gpus num_gpus devices", "write trainer.devices={}"),
    ("gpu cuda device cpu", "write trainer.accelerator=gpu or trainer.accelerator=cpu"),
    ("fp16 amp bf16 mixed_precision", "write trainer.precision=bf16-mixed or 16-mixed"),
    ("workers num_workers", "write data.num_workers={}"),
    ("image_size img_size resolution size", "write data.size={}, or data.size=[HEIGHT,WIDTH]"),
    ("dataset data_dir dataroot data_root folder", "write data.root={}"),
    ("labels cond", "write data.labels=true to use sub-folders as classes"),
    ("mirror hflip", "write data.flip=true"),
    ("out outdir output save_dir name run default_root_dir", "write hydra.run.dir=runs/NAME"),
    ("ckpt ckpt_path checkpoint resume_from", "write resume=runs/NAME to continue a run, or init_from=runs/NAME to "
     "start from its weights"),
    ("pretrained finetune", "write init_from=runs/NAME, a run of the same model"),
    ("callbacks", "write callback=[progress,samples,evaluate,health,checkpoint]; a list replaces the whole list"),
    ("metrics", "write metric=[kid,fd,precision_recall]"),
    ("snap save_every", "write callback.checkpoint.interval=IMAGES"),
    ("sweep hparams_search", "write -m search=optuna, or lists of values such as -m seed=0,1"),
    ("arch network cfg", "write model=NAME; python train.py --help lists the models"),
    ("config", "write experiment=NAME; python train.py --help lists the experiments"),
    ("latent_dim z_dim nz", "write model.generator.latent_dim={}"),
    ("ngf", "write model.generator.width={}"),
    ("ndf", "write model.discriminator.width={}"),
    ("n_critic", "write model.n_critic={}"),
    ("gamma", "write penalty=[r1] penalty.r1.weight={}"),
    ("aug ada", "write augment=ada, augment=diffaugment or augment=none"),
    ("grad_clip gradient_clip_val", "gradients are not clipped; lower the learning rates or add a penalty"),
    ("fast_dev_run", "write debug=fast"),
    ("overfit_batches", "write debug=overfit"),
    ("profiler", "write debug=profile"),
):  # fmt: skip
    ANSWERS |= dict.fromkeys(_names.split(), _answer)

# Options of Lightning's Trainer without effect here: the data is endless, without epochs and a validation loop, two
# optimizers take turns, and train.py sets the callbacks, the loggers and the length.
_idle = (
    "max_epochs min_epochs max_steps min_steps max_time limit_train_batches overfit_batches fast_dev_run profiler "
    "reload_dataloaders_every_n_epochs limit_val_batches limit_test_batches limit_predict_batches val_check_interval "
    "check_val_every_n_epoch num_sanity_val_steps inference_mode log_every_n_steps accumulate_grad_batches "
    "gradient_clip_val gradient_clip_algorithm use_distributed_sampler enable_checkpointing enable_autolog_hparams "
    "model_registry barebones callbacks logger plugins default_root_dir"
)
TRAINER = frozenset(_idle.split())
FIXED = {"max_epochs=-1", "num_sanity_val_steps=0", "limit_val_batches=0", "use_distributed_sampler=false"}
NONE = ("none", "false", "null", "no", "off")  # values of other programs that switch a part off
LISTS = ("logger", "callback", "penalty", "metric")  # groups with several files per run
WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}
WITH_VALUE |= {"--experimental-rerun", "--info", "-i", "--code"}
FLAGS = WITH_VALUE | {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"}
FLAGS |= {"--shell-completion", "-sc"}


def answer(name: str, value: str | None = None) -> str | None:
    """Return what to type instead of a word of another program; None if it is not known."""
    text = ANSWERS.get(name.lower().replace("-", "_"))
    return text and text.replace("{}", value or "VALUE")


def describe_foreign(key: str, value: str | None = None) -> str | None:
    """Return a line about an option KEY that does not exist, by its whole name or its last part; None if unknown."""
    section, _, name = key.rpartition(".")
    text = answer(name, value) if len(name) > 1 else None
    if section == "trainer" and name in TRAINER:
        return "; ".join(filter(None, (f"{key}: has no effect here", text)))
    return text and f"{key}: no such option; {text}"


def check_words(words: Sequence[str], known: Callable[[], Collection[str]]) -> None:
    """Raise UserError for the first argument that is not ours: a flag, a path without a name, an idle Trainer option.

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
    if text := answer(name, value):
        raise UserError(f"{word}: no such option; {text}")
    options = known()
    ours = name if name in options else name.replace("-", "_")
    if ours in options:
        ours = "data.root" if ours == "data" and "/" in value else ours
        raise UserError(f"{word}: options have no dashes; write {ours}={value or 'VALUE'}")
    raise UserError(f"{word}: no such option; options are written NAME=VALUE; {did_you_mean(name, options)}")


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
    section, _, option = key.rpartition(".")
    if section == "trainer" and option in TRAINER and f"{option}={value}" not in FIXED:
        raise UserError(describe_foreign(key) or key)
    if name.startswith("+") and "." not in key and (text := describe_foreign(key, value)):
        raise UserError(text)
    if key in LISTS and value.lower() in NONE:
        raise UserError(f"{word}: write {key}=[]")
    if key in LISTS and not sweep and re.fullmatch(r"\w+(,\w+)+", value):
        raise UserError(f"{word}: is a list; write {key}=[{value}]")
