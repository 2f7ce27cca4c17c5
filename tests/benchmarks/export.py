"""Parity, size and speed of exported networks: python tests/benchmarks/export.py RUN [RUN ...]

For each part of each run it prints a row of a table in Markdown: the largest difference from PyTorch with ONNX
Runtime and with torch.export; the sizes of these files; and the time for one image. The
times are medians of calls that take turns, so that other load on the machine affects all of them alike. Translators get
an image of 256x256 pixels. For a part that cannot be exported it prints the message of the command.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from gan import api
from gan.export.export import Exported, make, metadata, open_onnx, open_pt2, parts_of
from gan.export.parts import Part
from gan.utils.errors import UserError

SIDE = 256  # pixels of the translated image
ROUNDS = 15
HEADINGS = "run", "part", "ONNX", "pt2", "MB", "MB, pt2", "PyTorch, ms", "ONNX, ms", "pt2, ms"


def medians(functions: list[Callable[[], object]]) -> list[float]:
    """Return the median time of each function in milliseconds. They take turns."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(ROUNDS):
        for function, found in zip(functions, times, strict=True):
            started = time.perf_counter()
            function()
            found.append(1000 * (time.perf_counter() - started))
    return [statistics.median(found[2:]) for found in times]


def speeds(part: Part, onnx: Exported, pt2: Exported) -> list[float]:
    inputs = part.example(1, (SIDE, SIDE) if part.free_size else part.size)
    functions = [open_onnx(onnx.data, part), open_pt2(pt2.data, part)]

    def original() -> object:
        with torch.no_grad():
            return part.run(part.original, *inputs)

    return medians([original, *(lambda function=function: function(*inputs) for function in functions)])


def row(run: Path, part: Part, about: dict[str, str]) -> list[str]:
    try:
        onnx, pt2 = make(part, "onnx", run, about), make(part, "pt2", run, about)
    except UserError as error:
        return [run.name, part.name, f"not exported: {error}"]
    differences = [f"{each.difference.floats:.0e}, {each.difference.levels}" for each in (onnx, pt2)]
    sizes = [f"{len(each.data) / 1e6:.2f}" for each in (onnx, pt2)]
    return [run.name, part.name, *differences, *sizes, *(f"{each:.1f}" for each in speeds(part, onnx, pt2))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    torch.set_num_threads(1)
    print("|", " | ".join(HEADINGS), "|")
    print("|---" * len(HEADINGS) + "|")
    for run in parser.parse_args().runs:
        model = api.load(run)
        for part in parts_of(model):
            print("|", " | ".join(row(run, part, metadata(part, model))), "|", flush=True)


if __name__ == "__main__":
    main()
