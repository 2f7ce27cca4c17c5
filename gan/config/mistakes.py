"""What to type instead: lines about mistakes on a command line, and about words of other programs. No torch."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException, InstantiationException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from gan.config import paths
from gan.config.compose import options
from gan.config.overrides import is_group
from gan.utils.code import advice
from gan.utils.errors import UserError, causes, describe_os_error, did_you_mean, install, to_line

LENGTH = "set the length with images=N (all images seen: epochs x images of the folder) or minutes=N"

# Words (lower case, _ for -) -> what to type instead.
ANSWERS: dict[str, str] = {}
for _names, _answer in (
    ("epochs max_epochs num_epochs n_epochs", LENGTH),
    ("steps max_steps iterations", "set the length with images=N (steps x data.batch_size) or minutes=N"),
    ("kimg", "write images=N, a thousand times as many"),
    ("lr learning_rate", "write model.generator_optimizer.lr=VALUE model.discriminator_optimizer.lr=VALUE"),
    ("batch_size batch b", "write data.batch_size=VALUE, the total of all devices"),
    ("gpus num_gpus", "write trainer.devices=VALUE"),
    ("gpu cuda device cpu", "write trainer.accelerator=gpu or trainer.accelerator=cpu"),
    ("fp16 amp bf16 mixed_precision", "write trainer.precision=bf16-mixed or 16-mixed"),
    ("image_size img_size resolution size", "write data.size=VALUE, or data.size=[HEIGHT,WIDTH]"),
    ("dataset data_dir dataroot data_root folder", "write data.root=VALUE"),
    ("out outdir output save_dir name run default_root_dir", "write hydra.run.dir=runs/NAME"),
    ("ckpt ckpt_path checkpoint resume_from", "write resume=runs/NAME to continue a run, or init_from=runs/NAME to "
     "start from its weights"),
    ("arch network cfg", "write model=NAME; python train.py --help lists the models"),
    ("gamma", "write penalty=[r1] penalty.r1.weight=VALUE"),
    ("aug ada", "write augment=ada, augment=diffaugment or augment=none"),
):  # fmt: skip
    ANSWERS |= dict.fromkeys(_names.split(), _answer)

WITH_VALUE = {"--cfg", "-c", "--package", "-p", "--config-dir", "-cd", "--info", "-i", "--code"}
INFORMATION = {"--cfg", "-c", "--info", "-i", "--hydra-help", "--version", "--shell-completion", "-sc"}  # no run
FLAGS = WITH_VALUE | INFORMATION | {"--help", "-h", "--help-all", "--resolve", "--run", "-r", "--multirun", "-m"}


# ---- words of the command line, before Hydra reads them


def check_words(words: Sequence[str]) -> list[str]:
    """Return the words, with data.root= before a folder of images; raise UserError if one is not ours."""
    words = list(words)
    values = {index + 1 for index, word in enumerate(words) if word in WITH_VALUE}
    for index, word in enumerate(words):
        if index in values or word.partition("=")[0] in FLAGS:
            continue
        if word.startswith("-"):
            raise UserError(describe_flag(word))
        if word.startswith("+"):
            check_added(word)
        elif (word.startswith("=") or "=" not in word) and (not word.startswith("~") or word.startswith("~/")):
            if joined := unquoted(words, index):
                raise UserError(f"{word}: a path with spaces needs quotes; write {shlex.quote(joined)}")
            if not os.path.isdir(os.path.expanduser(word)) or is_run(word):
                raise UserError(describe_bare(word))
            words[index] = f"data.root={word}"
    return words


def unquoted(words: Sequence[str], index: int) -> str | None:
    """Return the path with spaces that begins at an index, or the option with one that continues there; else None."""
    paths = (" ".join(words[index:end]) for end in range(index + 2, len(words) + 1))
    options = (" ".join(words[index - 1 : end]) for end in range(index + 1, len(words) + 1) if index > 0)
    texts = ((text, text.partition("=")[2] or text) for text in (*options, *paths))
    return next((text for text, path in texts if os.path.exists(os.path.expanduser(path))), None)


def is_run(word: str) -> bool:
    """Return whether a path looks like a run, whole or damaged."""
    return os.path.isdir(Path(os.path.expanduser(word)) / "checkpoints")


def answer(name: str) -> str | None:
    return ANSWERS.get(name.lower().replace("-", "_"))


def describe_foreign(key: str) -> str | None:
    """Return a line about an option KEY that does not exist, by its whole name or its last part; None if unknown."""
    name = key.rpartition(".")[2]
    text = answer(name) if len(name) > 1 else None
    return text and f"{key}: no such option; {text}"


def known_options() -> list[str]:
    return [*paths.groups(), *options([])]


def check_added(word: str) -> None:
    """Raise UserError if +KEY=VALUE adds an option that nothing reads; files of --config-dir may read any."""
    key = word.lstrip("+").partition("=")[0]
    tops = {name.partition(".")[0] for name in known_options()} | {"hydra"}
    if (top := re.split(r"[@./]", key)[0]) not in tops and not paths.own():
        raise UserError(describe_foreign(top) or f"{word}: no such option; {did_you_mean(top, tops)}")


def describe_flag(word: str) -> str:
    """Return a line about a flag such as --epochs or --epochs=10, which is not one of Hydra's or ours."""
    name = word.partition("=")[0].lstrip("-")
    text = answer("dataset" if name == "data" else name)
    text = text or f"options are written NAME=VALUE; {did_you_mean(name, known_options())}"
    return f"{word}: no such option; {text}"


def describe_bare(word: str) -> str:
    """Return a line about an argument without `=`, such as a folder, a run or a value after a flag or a space."""
    start = f"{word}: options are written NAME=VALUE"
    if is_run(word) or word.endswith(".ckpt"):
        return f"{start}; to continue this run, write {shlex.quote(f'resume={word}')}"
    if os.path.exists(os.path.expanduser(word)):
        return f"{start}; to train on it, write {shlex.quote(f'data.root={word}')}"
    if text := answer(word):
        return f"{word}: no such option; {text}"
    return f"{start}, without spaces around =; {did_you_mean(word, known_options())}"


# ---- errors


def message_of(error: BaseException) -> str | None:
    """Return a line for an error that users can fix; None for other errors, which are bugs."""
    chain = list(causes(error))
    for cause in chain:
        if isinstance(cause, UserError):
            return to_line(str(cause).rpartition("UserError: ")[2])  # without the prefix that a worker process adds
        # If a process has just died, receiving its tensor fails with a closed socket before PyTorch reports the death.
        if "DataLoader worker" in str(cause) or isinstance(cause, ConnectionError | EOFError):
            died = f"a worker process of the data loader died ({to_line(str(cause))})"
            return f"{died}; if memory was short, use fewer data.num_workers; continue with resume="
    for cause in chain:
        if isinstance(cause, MissingConfigException):
            return missing_file(cause)
        if isinstance(cause, InstantiationException):
            key = cause.args[0].splitlines()[-1].removeprefix("full_key: ")
            module = chain[-1].name if isinstance(chain[-1], ModuleNotFoundError) else None
            return f"{to_line(str(chain[-1]))} (full_key: {key})" + (f"; {advice(module)}" if module else "")
        if "Config group override must be a string or a list" in str(cause):
            return "a group is set to null or false; choose none, or [] for a group with several parts"
        if isinstance(cause, HydraException | OmegaConfBaseException):
            return unknown_option(str(cause)) or to_line(cause)
        if type(cause).__name__ == "MisconfigurationException":
            return to_line(str(cause))
        if isinstance(cause, OSError):
            return describe_os_error(cause)
    return None


def missing_file(error: MissingConfigException) -> str:
    """Return a line such as `model=dcgn: no such model; ...` for a group that is set to a missing file."""
    missing = error.missing_cfg_file or ""
    group, _, name = missing.rpartition("/")
    if missing.startswith("data/") and (group != "data" or os.path.isdir(name)):
        return f"data={missing.removeprefix('data/')}: is no file of conf/data; for a folder, write data.root=PATH"
    if group.startswith("hydra"):
        return f"{group}={name}: not installed; {install('sweep')}, for clusters retro-gan[slurm] or retro-gan[ray]"
    hint = did_you_mean(name, paths.group_names(group))  # for an element of a list, Hydra's error has no names
    if hint.startswith("choose") and not paths.own():
        hint += "; for your own, add --config-dir DIR"
    return f"{group}={name}: no such {group}; {hint}"


def unknown_option(message: str) -> str | None:
    """Return a line such as `data.sise: no such option; ...` for Hydra's message about an unknown key; else None."""
    named = re.search(r"Could not (?:override|append to config|delete from config).*?'([^']+)'", message)
    if not named:
        return None
    key = named.group(1).split("=")[0].lstrip("+~")
    if foreign := describe_foreign(key):
        return foreign
    chosen = (re.fullmatch(r"(\w+)=(\w+|\[[\w,]*\])", word) for word in sys.argv[1:])
    known = options([word[0] for word in chosen if word and is_group(word[1])])
    others = [each for each in known if not each.startswith("hydra.") and each != key]  # which another group may have
    return f"{key}: no such option; {did_you_mean(key, others)}"
