"""Words of other programs and of Lightning's Trainer: an error message tells ours. No torch."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from gan.common.errors import UserError, did_you_mean
from gan.run.paths import group_names, groups

LENGTH = "set the length with images=N (all images seen: epochs x images of the folder) or minutes=N"

# Words (lower case, _ for -) -> what to type instead; {} is the value, or VALUE if there is none.
ANSWERS: dict[str, str] = {}
for _names, _answer in (
    ("epochs max_epochs num_epochs n_epochs", LENGTH),
    ("steps max_steps num_steps iterations", "set the length with images=N (steps x data.batch_size) or minutes=N"),
    ("kimg", "write images={}000"),
    ("lr learning_rate", "write model.generator_optimizer.lr={} model.discriminator_optimizer.lr={}"),
    ("beta1 b1", "write model.generator_optimizer.betas=[{},0.999] and the same for discriminator_optimizer"),
    ("batch_size batch b", "write data.batch_size={}, the total of all devices"),
    ("gpus num_gpus devices", "write trainer.devices={}"),
    ("gpu cuda device accelerator cpu", "write trainer.accelerator=gpu or trainer.accelerator=cpu"),
    ("fp16 amp bf16 mixed_precision", "write trainer.precision=bf16-mixed or 16-mixed"),
    ("workers num_workers", "write data.num_workers={}"),
    ("image_size img_size resolution size", "write data.size={}, or data.size=[HEIGHT,WIDTH]"),
    ("channels nc", "write data.channels={}: 1 gray, 3 RGB, 4 RGBA"),
    ("dataset data_dir dataroot data_root folder input", "write data.root={}"),
    ("labels cond", "write data.labels=true to use sub-folders as classes"),
    ("mirror hflip", "write data.flip=true"),
    ("out outdir output save_dir name run", "write hydra.run.dir=runs/NAME"),
    ("ckpt ckpt_path checkpoint resume_from continue", "write resume=runs/NAME to continue a run, or "
     "init_from=runs/NAME to start from its weights"),
    ("pretrained finetune", "write init_from=runs/NAME, a run of the same model"),
    ("callbacks", "write callback=[progress,samples,evaluate,health,checkpoint]; a list replaces the whole list"),
    ("log_every", "write model.log_interval=IMAGES"),
    ("snap save_every", "write callback.checkpoint.interval=IMAGES"),
    ("metrics", "write metric=[kid,fd,precision_recall]"),
    ("sweep hparams_search", "write -m search=optuna, or lists of values such as -m seed=0,1"),
    ("seeds manual_seed", "write seed={}"),
    ("arch network cfg", "write model=NAME; python train.py --help lists the models"),
    ("latent_dim z_dim nz", "write model.generator.latent_dim={}"),
    ("ngf", "write model.generator.width={}"),
    ("ndf", "write model.discriminator.width={}"),
    ("n_critic", "write model.n_critic={}"),
    ("ema_decay", "write model.ema_half_life=IMAGES"),
    ("gamma", "write penalty=[r1] penalty.r1.weight={}"),
    ("aug ada", "write augment=ada, augment=diffaugment or augment=none"),
    ("config", "write experiment=NAME; python train.py --help lists the experiments"),
    ("grad_clip gradient_clip_val", "gradients are not clipped; lower the learning rates or add a penalty"),
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
INSTEAD = {  # of an option in TRAINER
    "max_time": "set the length with minutes=N",
    "accumulate_grad_batches": "write model.micro_batch=IMAGES, the largest part of a batch in one forward pass",
    "fast_dev_run": "write debug=fast",
    "overfit_batches": "write debug=overfit",
    "profiler": "write debug=profile",
    "default_root_dir": "write hydra.run.dir=runs/NAME",
}
NONE = ("none", "false", "null", "no", "off")  # values of other programs that switch a part off
LISTS = ("logger", "callback", "penalty", "metric")  # groups with several files per run
FLAGS = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r"}
FLAGS |= {"--multirun", "-m", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn"}
FLAGS |= {"--config-dir", "-cd", "--experimental-rerun", "--info", "-i", "--code"}
WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"}
WITH_VALUE |= {"--experimental-rerun", "--info", "-i", "--code"}


def answer(name: str, value: str | None = None) -> str | None:
    """Return what to type instead of a word of another program; None if it is not known."""
    found = ANSWERS.get(name.lower().replace("-", "_"))
    if found == "write data.root={}" and value in group_names("data"):
        return f"write data={value}"
    return found and found.replace("{}", value or "VALUE")


def describe_foreign(key: str, value: str | None = None) -> str | None:
    """Return a line about an option KEY that does not exist, by its whole name or its last part; None if unknown."""
    section, _, name = key.rpartition(".")
    if section == "trainer" and name in TRAINER:
        return "; ".join(filter(None, (f"{key}: has no effect here", INSTEAD.get(name, answer(name)))))
    found = answer(name, value) if len(name) > 1 else None
    return found and f"{key}: no such option; {found}"


def check_words(words: Sequence[str], known: Callable[[], Collection[str]]) -> None:
    """Raise UserError for the first argument that is not ours: a flag, a path without a name, an idle Trainer option.

    Args:
        known: returns the options of the default configuration, and the groups; called only if there is an error.
    """
    sweep = bool({"-m", "--multirun"} & set(words))
    if sweep and (shows := [word for word in words if word.partition("=")[0] in ("--cfg", "-c", "--info", "-i")]):
        raise UserError(f"{shows[0]}: shows one configuration; leave out -m")
    values = {index + 1 for index, word in enumerate(words) if word in WITH_VALUE}
    for index, word in enumerate(words):
        if index in values:
            continue
        if word.startswith("-"):
            check_flag(word, words[index + 1] if index + 1 < len(words) else None, known)
        elif is_bare(word):
            raise UserError(describe_bare(word, words, known))
        else:
            check_option(word, sweep)
            if word.startswith("+") and not {"--config-dir", "-cd"} & set(words):
                check_added(word, known)


def check_flag(word: str, following: str | None, known: Callable[[], Collection[str]]) -> None:
    """Raise UserError if a flag such as --epochs or --epochs=10 is not one of Hydra's or ours."""
    flag, _, value = word.partition("=")
    if flag in FLAGS:
        return
    value = value or (following if following and not following.startswith("-") and "=" not in following else "")
    name = flag.lstrip("-")
    if found := answer(name, value):
        raise UserError(f"{word}: no such option; {found}")
    options = known()
    ours = name if name in options else name.replace("-", "_")
    if ours in options:
        ours = "data.root" if ours == "data" and "/" in value else ours
        raise UserError(f"{word}: options have no dashes; write {ours}={value or 'VALUE'}")
    raise UserError(f"{word}: no such option; options are written NAME=VALUE; {did_you_mean(name, options)}")


def is_bare(word: str) -> bool:
    """Return whether an argument is neither NAME=VALUE nor ~NAME, with which Hydra removes an option."""
    if word.startswith(("/", "./", "../", "~/")):
        return True
    return word == "=" or ("=" not in word and not word.startswith("~"))


def describe_bare(word: str, words: Sequence[str], known: Callable[[], Collection[str]]) -> str:
    """Return a line about an argument without `=`, such as a folder, a run or a value after a flag or a space."""
    path = Path(os.path.expanduser(word))
    if (path / "checkpoints").is_dir() or path.suffix == ".ckpt":
        return f"{word}: options are written NAME=VALUE; to continue this run, write {typed('resume', word)}"
    if os.path.exists(path):
        others = [each for each in words if each != word and os.path.exists(os.path.expanduser(each))]
        two = f", for a translator {typed('data.a', word)} {typed('data.b', others[0])}" if others else ""
        return f"{word}: options are written NAME=VALUE; to train on it, write {typed('data.root', word)}{two}"
    if found_in := [group for group in groups() if word in group_names(group)]:
        return f"{word}: options are written NAME=VALUE; write {found_in[0]}={word}"
    if found := answer(word):
        return f"{word}: no such option; {found}"
    options = known()
    if word in options or word == "=":
        name = word if word in options else "NAME"
        return f"{word}: write {name}=VALUE without spaces around ="
    if os.sep in word:
        return f"{word}: no such file or folder; options are written NAME=VALUE, for example data.root={word}"
    return f"{word}: options are written NAME=VALUE; {did_you_mean(word, options)}"


def typed(option: str, path: str) -> str:
    """Return an option with a path, as it is typed on a shell."""
    return shlex.quote(f"{option}={path}")


def check_option(word: str, sweep: bool = False) -> None:
    """Raise UserError for an option that would be accepted without effect, or with a value of another program."""
    name, _, value = word.partition("=")
    key = name.lstrip("+~").partition("@")[0]
    section, _, option = key.rpartition(".")
    if section == "trainer" and option in TRAINER and not is_default(option, value):
        raise UserError(describe_foreign(key) or key)
    if name.startswith("+") and "." not in key and (found := describe_foreign(key, value)):
        raise UserError(found)
    if key in LISTS and value.lower() in NONE:
        raise UserError(f"{word}: write {key}=[]")
    if key in LISTS and not sweep and re.fullmatch(r"\w+(,\w+)+", value):
        raise UserError(f"{word}: is a list; write {key}=[{value}]")


def check_added(word: str, known: Callable[[], Collection[str]]) -> None:
    """Raise UserError if +KEY=VALUE adds an option that nothing reads."""
    key = word.partition("=")[0].lstrip("+").partition("@")[0]
    top = {name.partition(".")[0] for name in known()} | {"hydra"}
    if key.partition(".")[0].partition("/")[0] not in top:
        raise UserError(f"{word}: no such option; {did_you_mean(key, top)}")


def is_default(option: str, value: str) -> bool:
    """Return whether a value is that of conf/trainer/default.yaml, which stays allowed."""
    defaults = {"max_epochs": "-1", "num_sanity_val_steps": "0", "limit_val_batches": "0"}
    return defaults.get(option, "false" if option == "use_distributed_sampler" else None) == value
