"""The `gan` command. Each sub-command is a module in gan/commands, which is imported only when it is used."""

from __future__ import annotations

import sys

from gan.utils import processes

if __name__ == "__main__" or sys.argv[0].removesuffix(".exe").endswith("gan"):  # not if Python code imports this file
    processes.end_silently()
    processes.skip_at_exit()

import argparse
import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn

from gan.commands.options import locate
from gan.models.address import with_addresses
from gan.runs.remote import upload_results
from gan.runs.run_folder import version_of
from gan.utils.code import add as add_code
from gan.utils.errors import UserError, describe_os_error, did_you_mean, to_line
from gan.utils.output import escape_unprintable
from gan.utils.processes import safe_path

COMMANDS = {
    "train": "train a GAN on a folder of images; `gan train --help-all` lists all options",
    "generate": "generate images with a trained run",
    "interpolate": "interpolate between images of a trained run, as a GIF or a video",
    "directions": "find latent directions in which images change",
    "edit": "edit images through their latents",
    "blend": "blend two models: coarse layers of one, fine layers of the other",
    "project": "project images to latents",
    "demo": "show models on a page in the browser, to generate, edit, translate and watch training",
    "translate": "translate images with a trained translator or a look",
    "palette": "make a palette from images, convert palette files, list the palettes of old machines",
    "recognize": "classify images with the features of a discriminator",
    "evaluate": "evaluate the quality and memorization of the images of a run or a folder",
    "export": "export a model to ONNX, torch.export, a web page or a color table",
    "compare": "compare runs: a table of options and scores, curves of metrics",
    "doctor": "say what is wrong with a run, why, and which option to change",
    "report": "write a report of runs as one HTML file",
    "runs": "list runs with their scores, sizes and status",
    "share": "write a folder with a trained model to share, for a friend or the Hugging Face Hub",
    "import": "write a shared model from published weights of StyleGAN2, R3GAN, CycleGAN, pix2pix or CUT",
    "zoo": "list the trained models that come with the package; use one as zoo:NAME",
    "info": "print versions, devices and the cache, for bug reports, or what made an image",
    "data": "check a folder of images before training, restore enlarged pixel art, pack shards",
}
EXAMPLES = """examples:
  gan train data.root=FOLDER minutes=10     train on a folder of images
  gan generate runs/NAME --grid             generate images with that run
  gan COMMAND --help                        show the arguments of a command"""


COUNTS = ("-n", "--n", "--num", "--count", "--num-images")  # of other programs, for a number of images


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line. The parser of the chosen sub-command is added to the result as `parser`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_defaults(parser=self)
        self.commands: dict[str, Parser] = {}  # the parsers of sub-commands

    def add_subparsers(self, **options: Any) -> Any:
        added = super().add_subparsers(**options)
        self.commands = added.choices
        return added

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").replace("the following arguments are required:", "give")
        message = message.replace("invalid int value:", "give a whole number, not")
        message = message.replace("invalid float value:", "give a number, not")
        if found := re.fullmatch(r"(.*): invalid choice: '(.*?)' \(choose from (.*)\)", message):
            name, word, choices = found.groups()
            where = f"{word}: no such command;" if name == "COMMAND" else f"{name} {word}:"
            message = f"{where} {did_you_mean(word, choices.replace(chr(39), '').split(', '))}"
        raise UserError(f"{self.prog}: {message}; {self.prog} --help shows the arguments")

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Raise UserError if a word is left that no argument takes."""
        for word in words:
            known = re.findall(r"--[a-z][a-z0-9-]*", self.format_help())
            name, _, value = word.partition("=")
            hint = did_you_mean(name, known) if word.startswith("-") else f"see {self.prog} --help"
            if name in COUNTS and "--seeds" in known:
                hint = "for 16 images, write --seeds 0-15"
            if value and not word.startswith("-"):  # as gan train has options
                hint = f"write --{name} {value}" if f"--{name}" in known else hint
            raise UserError(f"{self.prog} {word}: no such {'option' if word.startswith('-') else 'argument'}; {hint}")


class Version(argparse.Action):
    """Prints the version."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        installed = version_of("retro-gan")
        print(f"retro-gan {installed}" if installed else "retro-gan, not installed")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command and return its exit code: 2 after an error that users can fix, which is printed in one line."""
    escape_unprintable()
    with processes.as_keyboard_interrupt(), safe_path():
        try:
            return execute(sys.argv[1:] if arguments is None else arguments)
        except KeyboardInterrupt:
            return 130


def execute(words: Sequence[str]) -> int:
    try:
        if words[:1] == ["train"]:  # Hydra reads the options
            importlib.import_module("gan.commands.train").main(words[1:])
            return 0
        parser = build_parser(next((word for word in words if not word.startswith("-")), None))
        if not words:
            parser.print_help(sys.stderr)
            return 2
        if words[0].startswith("-") and words[0] not in parser.format_help():
            parser.refuse_unknown(words[:1])
        if "" in words:
            raise UserError(f"gan {words[0]}: an argument is empty; is a variable of the shell not set?")
        code = run(parser, words)
        upload_results()
        sys.stdout.flush()  # here, where errors are caught
    except BrokenPipeError:  # the reader has exited, as in `gan compare ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, OSError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        line = to_line(describe_os_error(error) if isinstance(error, OSError) else error)
        print(f"error: {with_addresses(line)}", file=sys.stderr)
        return 2
    return code or 0


def run(parser: Parser, words: Sequence[str]) -> int | None:
    """Run the sub-command that words name, and return its exit code; None is 0.

    Its module has `add_arguments` and `run`. `prepare` completes the arguments where argparse cannot. `Request` is the
    dataclass that `run` takes in place of the arguments; its checks come before anything heavy is imported.
    """
    chosen = parser.commands.get(words[0])
    if chosen is None or chosen.commands or {"-h", "--help"} & {*words}:
        arguments, unknown = parser.parse_known_args(words)
    else:  # options may stand between positional arguments; the help page would miss those
        arguments, unknown = chosen.parse_known_intermixed_args(words[1:], argparse.Namespace(command=words[0]))
    values = vars(arguments)
    values.pop("parser").refuse_unknown(unknown)
    command = importlib.import_module(f"gan.commands.{arguments.command}")
    if hasattr(command, "prepare"):
        command.prepare(arguments)
    for folder in values.get("code", ()):
        add_code(folder)
    if "checkpoint" in values:
        locate(arguments)
    if hasattr(command, "Request"):
        arguments = command.Request(**{field.name: values[field.name] for field in fields(command.Request)})
    return command.run(arguments)


def build_parser(chosen: str | None) -> Parser:
    """Return the parser. Only the chosen sub-command is imported and gets its options."""
    parser = Parser(prog="gan", description="Train GANs on folders of retro images, and work with them.",
                    epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--version", action=Version, nargs=0, help="print the version")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, meaning in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=meaning)
        if name == chosen:
            command = importlib.import_module(f"gan.commands.{name}")
            subparser.description = command.__doc__
            command.add_arguments(subparser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
