"""Words of other programs for commands and their options: an error message tells ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gan.common.errors import UserError, did_you_mean

# Command -> what to type instead.
COMMANDS = {
    "sample": "gan generate", "predict": "gan generate, or gan recognize predict to classify images",
    "eval": "gan evaluate", "test": "gan evaluate", "fid": "gan evaluate", "invert": "gan project",
    "video": "gan interpolate", "style": "gan translate", "transfer": "gan translate", "plot": "gan compare",
    "check": "gan data check", "pack": "gan data pack", "cache": "gan data cache", "unscale": "gan data unscale",
}  # fmt: skip
# Command -> its sub-commands.
PARTS = {"data": ("check", "unscale", "pack", "cache"), "recognize": ("fit", "predict")}
RUN = "the run is a positional argument, as in gan generate runs/NAME; --checkpoint FILE chooses a checkpoint"
PATH = "paths to read are positional arguments; see gan COMMAND --help"
OPTIONS: dict[str, str] = {}
for _names, _answer in (
    ("-n --num --samples", "write --seeds 0-15, one image per seed"),
    ("-o --output --outdir", "write --out"),
    ("--psi --trunc", "write --truncation"),
    ("--network --model --ckpt --run", RUN),
    ("--gpu --cuda", "write --device cuda"),
    ("-i --input --data --folder", PATH),
    ("--resolution --image-size", "write --size"),
    ("-f --overwrite", "write --force"),
    ("--real --target", "write --reference"),
    ("--duration --num-frames", "write --frames and --fps"),
):  # fmt: skip
    OPTIONS |= dict.fromkeys(_names.split(), _answer)


def check(words: Sequence[str]) -> None:
    """Raise UserError if a command does not exist, or an option is a word of another program."""
    if not words or words[0].startswith("-") or words[0] == "train":  # gan.run.early_checks reads those of train
        return
    command = words[0]
    if command in COMMANDS:
        raise UserError(f"gan {command}: no such command; write {COMMANDS[command]}")
    if not Path(__file__).with_name(f"{command}.py").is_file():
        raise UserError(f"gan {command}: no such command; {did_you_mean(command, names())}")
    if command in PARTS and len(words) > 1 and not words[1].startswith("-") and words[1] not in PARTS[command]:
        first, *_ = PARTS[command]
        example = f", as in gan {command} {first} {words[1]}" if Path(words[1]).exists() else ""
        raise UserError(f"gan {command} {words[1]}: no such command; {did_you_mean(words[1], PARTS[command])}{example}")
    for word in words[1:]:
        name = word.partition("=")[0]
        if name in OPTIONS:
            raise UserError(f"gan {command} {name}: no such option; {OPTIONS[name]}")


def names() -> list[str]:
    """Return the names of the commands. Each command is a module in this folder."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [file.stem for file in files if "\ndef add_arguments(" in file.read_text()]
