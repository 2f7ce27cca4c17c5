"""The `gan` command. Each sub-command is a module in gan/commands, which is imported only when it is used."""

from __future__ import annotations

import sys

from gan.common import garbage_collection, signals

if __name__ == "__main__" or sys.argv[0].removesuffix(".exe").endswith("gan"):  # not if Python code imports this file
    signals.end_silently()
    garbage_collection.skip_at_exit()

import argparse
import importlib
import os
import re
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from gan.commands import foreign_words
from gan.commands.options import check_run
from gan.commands.resumable import UNFINISHED
from gan.common.code import add as add_code
from gan.common.errors import UserError, describe_os_error, did_you_mean, to_line
from gan.common.output import escape_unprintable
from gan.common.processes import safe_path
from gan.run.address import with_addresses
from gan.run.remote_copies import upload_results

COMMANDS = {
    "train": "train a GAN on a folder of images; `gan train --help` lists all options",
    "generate": "generate images with a trained run",
    "interpolate": "interpolate between images of a trained run, as a GIF or a video",
    "directions": "find latent directions in which images change",
    "edit": "edit images through their latents",
    "project": "project images to latents",
    "demo": "show models on a page in the browser, to generate, edit, translate and watch training",
    "translate": "translate images with a trained translator or a look",
    "recognize": "classify images with the features of a discriminator",
    "evaluate": "evaluate the quality and memorization of the images of a run or a folder",
    "export": "export a model to ONNX, torch.export, safetensors or a web page",
    "compare": "compare runs: a table of options and scores, curves of metrics",
    "report": "write a report of runs as one HTML file",
    "runs": "list runs with their scores, sizes and status, and remove some",
    "share": "write a folder with a trained model to share, for a friend or the Hugging Face Hub",
    "zoo": "list the trained models that come with the package; use one as zoo:NAME",
    "info": "print versions, devices, cache and extras, for bug reports, or what made an image",
    "data": "check a folder of images before training, restore enlarged pixel art, pack shards, manage the cache",
}

EXAMPLES = """examples:
  gan train data.root=FOLDER minutes=10     train on a folder of images
  gan generate runs/NAME --grid             generate images with that run
  gan COMMAND --help                        show the arguments of a command"""
SHELLS = ("bash", "zsh", "tcsh")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line. The parser of the chosen sub-command is added to the result as `parser`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").replace("the following arguments are required:", "give")
        message = re.sub(r"(\S+): invalid (\w+) value: (.*)", rewritten, message)
        message = re.sub(r"(\S+): invalid choice: '(.*?)' \(choose from (.*)\)", suggested, message)
        raise UserError(f"{self.prog}: {message}; {self.prog} --help shows the arguments")

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Raise UserError if a word is left that no argument takes."""
        for word in words:
            known = re.findall(r"--[a-z][a-z0-9-]*", self.format_help())
            name, _, value = word.partition("=")
            hint = did_you_mean(name, known) if word.startswith("-") else f"see {self.prog} --help"
            if f"--{name}" in known and value:
                hint = f"write --{name} {value}"
            elif "--set" in known and value:
                hint = f"write --set {word}"
            raise UserError(f"{self.prog} {word}: no such {'option' if word.startswith('-') else 'argument'}; {hint}")


def rewritten(found: re.Match[str]) -> str:
    """Return argparse's message about the type of a value, in plain words."""
    return f"{found[1]} {found[3]}: give a {'whole number' if found[2] == 'int' else 'number'}"


def suggested(found: re.Match[str]) -> str:
    """Return argparse's message about a choice, with the nearest one."""
    return f"{found[1]} {found[2]}: {did_you_mean(found[2], found[3].replace(chr(39), '').split(', '))}"


class Version(argparse.Action):
    """Prints the version. The metadata of the package is read only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"retro-gan {version('retro-gan')}")
        except PackageNotFoundError:
            print("retro-gan, not installed")
        parser.exit()


class Completion(argparse.Action):
    """Prints a script for a shell, which completes the command. Only this needs the options of all sub-commands."""

    def __call__(self, parser: argparse.ArgumentParser, _: object, shell: object, *__: object) -> NoReturn:
        import shtab

        print(shtab.complete(build_parser(COMMANDS), str(shell)))
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command and return its exit code: 2 after an error that users can fix, which is printed in one line."""
    escape_unprintable()
    with signals.as_keyboard_interrupt(), safe_path():
        try:
            return execute(sys.argv[1:] if arguments is None else arguments)
        except KeyboardInterrupt:
            if UNFINISHED:
                print("interrupted; run the same command again to continue", file=sys.stderr)
            return 130
        finally:
            UNFINISHED.clear()


def execute(arguments: Sequence[str]) -> int:
    try:
        if arguments[:1] == ["train"]:  # Hydra reads the options
            importlib.import_module("gan.commands.train").main(arguments[1:])
            return 0
        foreign_words.check(arguments)
        parser = build_parser([word for word in arguments if not word.startswith("-")][:1])
        if not arguments:
            parser.print_help(sys.stderr)
            return 2
        if arguments[0].startswith("-") and arguments[0] not in parser.format_help():
            parser.refuse_unknown(arguments[:1])
        if "" in arguments:
            raise UserError(f"gan {arguments[0]}: an argument is empty; is a variable of the shell not set?")
        parsed, unknown = parser.parse_known_args(arguments)
        vars(parsed).pop("parser").refuse_unknown(unknown)
        if parsed.prepare is not None:
            parsed.prepare(parsed)
        for folder in getattr(parsed, "code", ()):
            add_code(folder)
        if hasattr(parsed, "checkpoint"):
            check_run(parsed)
        code: int | None = parsed.execute(parsed)
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


def build_parser(chosen: Collection[str]) -> Parser:
    """Return the parser. Only the chosen sub-commands are imported and get their options."""
    parser = Parser(prog="gan", description="Train GANs on folders of retro images, and work with them.",
                    epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--version", action=Version, nargs=0, help="print the version")
    parser.add_argument("--print-completion", action=Completion, choices=SHELLS, metavar="SHELL",
                        help=f"print a script that completes commands in a shell: {', '.join(SHELLS)}")  # fmt: skip
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, meaning in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=meaning)
        if name in chosen:
            command = importlib.import_module(f"gan.commands.{name}")
            subparser.description = command.__doc__
            command.add_arguments(subparser)
            # `prepare` completes the arguments where argparse cannot, before anything heavy is imported.
            subparser.set_defaults(execute=getattr(command, "run", None), prepare=getattr(command, "prepare", None))
    return parser


if __name__ == "__main__":
    sys.exit(main())
