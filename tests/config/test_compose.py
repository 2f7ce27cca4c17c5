"""Every file of conf/ composes, and names existing classes with valid arguments; errors are one line."""

import inspect
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from gan.config.compose import DERIVED, compose
from gan.config.help import headline, help_page, whole_page
from gan.config.paths import CONF

UNPAIRED = ("unpaired", "paper_cyclegan", "paper_cut")
MULTI = ("penalty", "metric", "callback", "logger")
ALONE = ("model", "data", "experiment", "debug", "search")  # groups that select files of other groups
FILES = sorted(path.relative_to(CONF).with_suffix("") for path in CONF.glob("*/*.yaml"))


def compositions() -> list[list[str]]:
    """Return overrides that select every file: one of each group that changes no other group at a time, for speed."""
    together: dict[str, list[str]] = {}
    for group, name in (file.parts for file in FILES if file.parts[0] not in ALONE):
        together.setdefault(group, []).append(f"{group}=[{name}]" if group in MULTI else f"{group}={name}")
    rows = [[word for word in row if word] for row in zip_longest(*together.values())]
    return [["data.root=somewhere", *row] for row in rows] + [
        [f"{group}={name}", *(["data.a=one", "data.b=other"] if name in UNPAIRED else ["data.root=somewhere"])]
        for group, name in (file.parts for file in FILES if file.parts[0] in ALONE)
    ]


def targets(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from targets(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from targets(value, f"{path}[{index}]")


@pytest.mark.parametrize("options", compositions(), ids=" ".join)
def test_every_option_composes_and_its_arguments_exist(options: list[str]) -> None:
    cfg = compose(options)
    container = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(container, dict)
    container.pop("hydra")
    found = list(targets(container))
    assert len(found) > 10
    for path, node in found:
        given = {key: None for key in node if not key.startswith("_")}
        signature = inspect.signature(get_object(node["_target_"]))
        try:
            (signature.bind_partial if node.get("_partial_") else signature.bind)(**given)
        except TypeError as error:
            raise AssertionError(f"{path}: {node['_target_']}: {error}") from error


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_file_has_a_description(file: Path) -> None:
    assert len(headline(CONF / file.with_suffix(".yaml"))) > 10


def test_help_is_one_screen_or_two() -> None:
    page = help_page()
    lines = page.splitlines()
    assert len(lines) < 80 and max(map(len, lines)) <= 120
    options = lines[lines.index("COMMON OPTIONS") + 1 : lines.index("GROUPS, WITH THEIR FILES") - 1]
    names = [line[2:32].strip() for line in options if line[2] != " "]
    assert len(names) == 20 and {"data.root", "minutes", "model.generator_optimizer.lr"} <= set(names)
    assert all(len(line) > 45 for line in options if line[2] != " ")  # each has a description
    assert all(re.search(rf"\b{file.stem}\b", page) for file in FILES)


def test_the_whole_help_has_every_file_and_option() -> None:
    page = whole_page()
    assert "images: ${length:112_000,3_000_000}  # length of the run" in page
    assert "---- data=folder\n" in page and "\nsize: 64  # side" in page
    assert all(f"{file.parent}={file.name}" in page for file in FILES)


@pytest.mark.parametrize(
    ("size", "width", "detail"), [("16", 48, 24), ("64", 32, 16), ("[96,64]", 32, 16), ("256", 16, 8)]
)
def test_a_cpu_takes_fewer_channels_above_32_pixels(size: str, width: int, detail: int) -> None:
    generator = compose(["trainer.accelerator=cpu", f"data.size={size}"]).model.generator
    assert (generator.width, generator.full_size_channels) == (width, detail)


@pytest.mark.parametrize(("side", "width"), [(32, 512), (64, 256), (256, 64)])
def test_stylegan2_has_its_papers_widths_on_a_gpu(side: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.config.compose.device_of", lambda accelerator: "cuda")
    assert compose(["model=stylegan2", f"data.size={side}"]).model.generator.width == width


def test_at_most_six_resolvers() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in CONF.rglob("*.yaml"))
    used = set(re.findall(r"\$\{([a-z_.]+):", text)) - {"hydra", "now"}  # those two are Hydra's
    assert used == {"by_device", "width", "length", "at_most", "sides", "derived"}
    names = set(re.findall(r"\$\{derived:(\w+)", text))
    assert names - {"NAME"} == DERIVED.keys()  # which a comment explains


def test_cycle_consistency_has_the_published_weight_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["model=cyclegan", "data=retro_filter", "data.root=x"]
    assert compose([*words, "trainer.accelerator=cpu"]).penalty.cycle.weight == 2
    monkeypatch.setattr("gan.config.compose.device_of", lambda accelerator: "cuda")
    assert compose(words).penalty.cycle.weight == 5  # published: 10, without the factor 1/2 of least_squares


def test_unpaired_data_is_not_selected_by_ground_truth() -> None:
    data = ["data=retro_filter", "data.root=x"]
    for pairing, expected in (("disjoint", "kid_x1000_lite0"), ("shared", "kid_x1000_lite0"), ("paired", "ciede2000")):
        assert compose(["model=lut", *data, f"data.pairing={pairing}"]).objective == f"eval/{expected}"
    for style in ("grainy_film", "[fade,grain]"):  # nor by grain that nobody can foresee
        words = ["data.pairing=paired", f"data.style={style}"]
        assert compose(["model=pix2pix", *data, *words]).objective == "eval/kid_x1000_lite0"


def test_processes_that_others_start_are_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.config.compose.device_of", lambda accelerator: accelerator)
    monkeypatch.delenv("SLURM_NTASKS", raising=False)
    for world, several in (("1", False), ("2", True)):  # such as of two machines with a device each
        monkeypatch.setenv("WORLD_SIZE", world)
        on_cuda, on_cpu = (compose([f"trainer.accelerator={name}"]).trainer for name in ("cuda", "cpu"))
        assert on_cuda.sync_batchnorm is several and not on_cpu.sync_batchnorm
        assert on_cpu.strategy.startswith("ddp") is several


def test_adam_is_fused_if_it_skips_bad_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.config.compose.device_of", lambda accelerator: accelerator)
    for accelerator, precision, expected in (
        ("cpu", "32-true", True), ("cuda", "bf16-mixed", True), ("cuda", "16-mixed", False), ("mps", "32-true", False),
    ):  # fmt: skip
        cfg = compose([f"trainer.accelerator={accelerator}", f"trainer.precision={precision}"])
        assert cfg.model.generator_optimizer.fused is expected


@pytest.mark.parametrize(
    ("device", "deterministic", "expected"),
    [("cuda", False, True), ("cuda", True, None), ("cuda", "warn", None), ("cpu", False, None)],
)
def test_cudnn_measures_its_algorithms_on_cuda_unless_deterministic(
    device: str, deterministic: bool | str, expected: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan.config.compose.device_of", lambda accelerator: device)
    cfg = compose([f"trainer.deterministic={deterministic}", "trainer.precision=32-true"])
    assert cfg.trainer.benchmark is expected
