"""Words of other programs for commands and their options: an error message tells ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gan.common.errors import UserError, did_you_mean

# Command -> what to type instead.
COMMANDS = {
    "sample": "gan generate", "samples": "gan generate", "synthesize": "gan generate", "gen": "gan generate",
    "inference": "gan generate", "predict": "gan generate, or gan recognize predict to classify images",
    "eval": "gan evaluate", "test": "gan evaluate", "score": "gan evaluate", "metrics": "gan evaluate",
    "fid": "gan evaluate", "kid": "gan evaluate", "validate": "gan evaluate",
    "classify": "gan recognize", "recognition": "gan recognize",
    "invert": "gan project", "inversion": "gan project", "encode": "gan project", "embed": "gan project",
    "projector": "gan project",
    "morph": "gan interpolate", "lerp": "gan interpolate", "slerp": "gan interpolate", "video": "gan interpolate",
    "walk": "gan interpolate", "interp": "gan interpolate",
    "style": "gan translate", "stylize": "gan translate", "convert": "gan translate", "transfer": "gan translate",
    "pix2pix": "gan translate",
    "plot": "gan compare", "curves": "gan compare", "diff": "gan compare",
    "check": "gan data check", "dataset": "gan data check", "pack": "gan data pack", "cache": "gan data cache",
    "unscale": "gan data unscale", "unfake": "gan data unscale", "snap": "gan data unscale",
    "downscale": "gan data unscale", "pixelate": "gan translate look:pixel_art",
    "sefa": "gan directions", "ganspace": "gan directions", "pca": "gan directions",
}  # fmt: skip
# Command -> its sub-commands.
PARTS = {"data": ("check", "unscale", "pack", "cache"), "recognize": ("fit", "predict", "score")}
RUN = "the run is a positional argument, as in gan generate runs/NAME; --checkpoint FILE chooses a checkpoint"
PATH = "paths to read are positional arguments; see gan COMMAND --help"
OPTIONS: dict[str, str] = {}
for _names, _answer in (
    ("-n -s --num --number --count --n-samples --num-samples --samples --num-images --n-images --seed-range",
     "write --seeds 0-15, one image per seed"),
    ("-o --output --outdir --out-dir --output-dir --save --save-dir --save-path --results --outfile", "write --out"),
    ("--psi --truncation-psi --truncation_psi --trunc-psi", "write --truncation"),
    ("--network --network-pkl --pkl --model --model-path --run --run-dir --ckpt --ckpt-path --checkpoint-path --resume",
     RUN),
    ("--gpu --gpus --cuda --use-cuda --accelerator", "write --device cuda"),
    ("--cpu", "the CPU is the default; write --device cpu"),
    ("-b --batch --batch-size --bs", "images are computed in batches that fit; leave it out"),
    ("-i --input --input-dir --source --src --data --dataset --data-dir --folder --image-dir", PATH),
    ("--res --resolution --image-size --img-size --height --width", "write --size"),
    ("--cls --class-idx --class-id --class-name --label-idx", "write --class"),
    ("-f --overwrite -y --replace", "write --force"),
    ("--real --reals --real-dir --gt --ground-truth --target", "write --reference"),
    ("--w-frames --num-frames --n-frames --duration --seconds --length", "write --frames and --fps"),
    ("--grid-size --nrow --rows --cols --columns", "write --grid; it has one image per seed"),
    ("--num-steps --iterations --iters", "write --steps"),
):  # fmt: skip
    OPTIONS |= dict.fromkeys(_names.split(), _answer)


def check(words: Sequence[str]) -> None:
    """Raise UserError if a command does not exist, or an option is a word of another program."""
    if not words or words[0].startswith("-") or words[0] == "train":  # gan.run.foreign_words reads those of train
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
