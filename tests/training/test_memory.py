"""The division of a step that fits into the memory of a GPU: how it is chosen, applied, stored and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra.errors import InstantiationException
from torch import Tensor

from gan.common.errors import UserError
from gan.losses.nonsaturating import Nonsaturating
from gan.networks.checkpointing import Checkpointed
from gan.training import memory
from gan.training.memory import GIB, Division, divide, estimate, example
from gan.training.rehearsal import Need, images_in, rehearse
from tests.conftest import ROOT, Train, command
from tests.recipes import RECIPES, build, fit

CPU = torch.device("cpu")
PARTS = 3  # processes that share the recipes, because all of them take minutes


def linear(model: Any, batch: dict[str, Tensor], *_: Any, checkpointed: bool, micro_batch: int | None = None) -> Need:
    """Return a need of 1 GiB plus 1 GiB per image, or plus 1/4 GiB per image with checkpointed blocks."""
    images = micro_batch or 1.5 * images_in(batch)  # a whole batch keeps the pass of G for both updates
    return Need(GIB, round((1 + images * (0.25 if checkpointed else 1)) * GIB))


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Division]:
    """Return a function that divides a batch of 32 for a recipe and some GiB of memory, with the needs of `linear`."""

    def needed(model: Any, batch: Any, device: Any, precision: Any, micro_batch: Any, checkpointed: bool) -> Need:
        return linear(model, batch, checkpointed=checkpointed, micro_batch=micro_batch)

    def choose(recipe: str, gib: float, *options: str) -> Division:
        module, data = build(recipe, *options)
        return divide(module, example(module, data, 32), CPU, None, gib * GIB)

    monkeypatch.setattr(memory, "rehearse", needed)
    return choose


def images(gib: float) -> Any:
    """Match a number of GiB in bytes, apart from the images themselves."""
    return pytest.approx(gib * GIB, rel=1e-3)


def test_a_batch_that_fits_stays_whole(divided: Callable[..., Division]) -> None:
    assert divided("stylegan2", 49) == Division(None, False, 49 * GIB)


def test_micro_batches_without_batch_norm(divided: Callable[..., Division]) -> None:
    assert divided("stylegan2", 24) == Division(16, False, images(17))
    assert divided("stylegan2", 6) == Division(4, False, images(5))
    assert divided("r3gan", 4) == Division(2, False, images(3))


def test_checkpointed_blocks_if_micro_batches_do_not_fit(divided: Callable[..., Division]) -> None:
    assert divided("fastgan", 24) == Division(None, True, 13 * GIB)
    assert divided("stylegan2", 4) == Division(8, True, images(3))


def test_the_division_with_the_least_memory_if_none_fits(divided: Callable[..., Division]) -> None:
    assert divided("stylegan2", 0.5) == Division(4, True, images(2))
    assert divided("fastgan", 0.5) == Division(None, True, 13 * GIB)


def test_options_are_kept(divided: Callable[..., Division]) -> None:
    assert divided("stylegan2", 6, "model.micro_batch=12") == Division(12, True, images(4))
    assert divided("stylegan2", 49, "model.checkpoint_blocks=true").checkpoint_blocks
    assert divided("fastgan", 6, "model.checkpoint_blocks=false") == Division(None, False, 49 * GIB)
    assert divided("fastgan", 6, "model.compile=eager") == Division(None, False, 49 * GIB)
    with pytest.raises(InstantiationException, match="exclude each other"):
        build("fastgan", "model.compile=eager", "model.checkpoint_blocks=true")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "size"),
    [("cut", 1), *(pytest.param(*each, marks=pytest.mark.slow) for each in [("r3gan", 2), ("stylegan2_ada", 4)])],
)
def test_the_estimate_of_two_micro_batches_is_that_of_all(recipe: str, size: int) -> None:
    module, data = build(recipe)
    batch = example(module, data, 6 * size)
    whole = rehearse(module, batch, CPU, None, micro_batch=size).peak
    assert estimate(module, batch, CPU, None, size).peak == pytest.approx(whole, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "fraction"), [("stylegan2", 0.6), ("fastgan", 0.9)])
def test_a_division_by_real_needs_fits(recipe: str, fraction: float) -> None:
    module, data = build(recipe)
    batch = example(module, data, 32)
    need = rehearse(module, batch, CPU, None)
    available = need.resident + fraction * (need.peak - need.resident)
    found = divide(module, batch, CPU, None, available)
    assert found.micro_batch in (8, 16) if recipe == "stylegan2" else found.checkpoint_blocks
    after = rehearse(module, batch, CPU, None, found.micro_batch, found.checkpoint_blocks).peak
    assert after < available and found.needed == pytest.approx(after, rel=0.2)


@pytest.mark.slow
def test_the_division_is_kept_at_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = build("r3gan")
    built[0].division = Division(2, True, 3 * GIB)
    fit(built, 2, save=tmp_path / "some.ckpt")
    capsys.readouterr()
    resumed = fit(build("r3gan"), 3, resume=tmp_path / "some.ckpt")
    assert resumed.division == Division(2, True, 3 * GIB) and resumed.micro_batch == 2
    assert any(isinstance(part, Checkpointed) for part in resumed.modules())
    assert "memory" not in capsys.readouterr().out  # the estimate is that of a GPU
    described = "about 3.0 GiB per GPU (batch 4 in micro-batches of 2, blocks checkpointed)"
    assert resumed.division.describe(4) == described

    given = fit(build("r3gan", "model.micro_batch=1"), 3, resume=tmp_path / "some.ckpt")
    assert given.division == Division(1, True, None)


def test_a_checkpoint_with_an_invalid_division() -> None:
    assert Division.load({}) == Division()
    with pytest.raises(UserError, match="micro_batch=-1"):
        Division.load({"micro_batch": -1})
    for value in ("false", [1], torch.zeros(3)):
        with pytest.raises(UserError, match=r"checkpoint_blocks=.*must be true or false"):
            Division.load({"checkpoint_blocks": value})
    assert "GiB" in Division.load({"needed": 10**400}).describe(4)


def test_on_a_cpu_the_step_is_not_divided(capsys: pytest.CaptureFixture[str]) -> None:
    module, data = build("dcgan")
    memory.settle(module, data, trainer(CPU))
    assert module.division == Division()
    fit((module, data), 1)
    assert "memory" not in capsys.readouterr().out and module.micro_batch is None


def trainer(device: torch.device, world_size: int = 1) -> Any:
    strategy = SimpleNamespace(root_device=device)
    return SimpleNamespace(strategy=strategy, world_size=world_size, precision="bf16-mixed")


def test_a_new_run_on_a_gpu_leaves_memory_for_kernels_and_pixels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[Any] = []

    def noted(model: Any, batch: dict[str, Tensor], device: torch.device, precision: Any, available: float) -> Division:
        found.append((batch["image"].shape[0], device.type, precision, available))
        return Division(2, False, GIB)

    monkeypatch.setattr(memory, "divide", noted)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=24 * GIB))
    module, data = build("r3gan")
    gradients = 4 * sum(p.numel() for p in module.parameters() if p.requires_grad)
    for ranks, buckets in ((1, 0), (2, gradients)):
        memory.settle(module, data, trainer(torch.device("cuda", 0), ranks))
        assert found.pop() == (4 // ranks, "cuda", torch.bfloat16, pytest.approx((0.9 - 1 / 16) * 24 * GIB - buckets))
        assert module.division == Division(2, False, GIB + buckets)
        batch = "batch 4 in micro-batches of 2" if ranks == 1 else "batch 2"
        assert capsys.readouterr().out == f"memory: about 1.0 GiB per GPU ({batch})\n"
    monkeypatch.setattr(memory, "divide", lambda *_: Division(1, False, 23 * GIB))
    memory.settle(module, data, trainer(torch.device("cuda", 0)))
    assert "more than 20.1 GiB, the usable memory of cuda:0" in capsys.readouterr().out


def test_a_run_without_an_estimate_is_not_divided(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: Any) -> Division:
        raise RuntimeError("needs values")

    monkeypatch.setattr(memory, "divide", failing)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=24 * GIB))
    module, data = build("r3gan")
    memory.settle(module, data, trainer(torch.device("cuda", 0)))
    assert module.division == Division() and "could not be estimated (needs values)" in capsys.readouterr().out


class OutOfMemory(Nonsaturating):
    """A loss that raises the error of a GPU without free memory."""

    def discriminator(self, real_logits: Any, fake_logits: Any) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_run_out_of_memory_ends_with_one_line(train: Train) -> None:
    result = train("loss._target_=tests.training.test_memory.OutOfMemory", "images=16", check=2)
    (line,) = result.stderr.splitlines()
    assert "out of memory" in line
    for option in ("model.micro_batch=2", "model.checkpoint_blocks=true", "data.batch_size", "data.size", "width"):
        assert option in line


def test_the_message_of_a_run_out_of_memory_has_the_estimate() -> None:
    error = str(memory.out_of_memory(SimpleNamespace(division=Division(16, False, 20 * GIB)), 64))
    assert "about 20.0 GiB per GPU (batch 64 in micro-batches of 16)" in error and "model.micro_batch=8" in error


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("size", [64, 256])
def test_counted_peaks_on_a_gpu(size: int, part: int) -> None:
    """With the defaults of CUDA, each recipe fits into 24 GiB, and the estimate is right."""
    recipes = [*RECIPES][part::PARTS]
    lines = command(["-m", "tests.fake_step", str(size), *recipes], ROOT).stdout.splitlines()[1:]
    assert len(lines) == len(recipes) > 0
    for line in lines:
        counted, estimated = map(float, line.split("|")[6:8])
        assert counted <= 22 and abs(estimated - counted) <= max(0.2 * counted, 0.01), line


def test_the_memory_on_a_cpu_is_printed_for_large_batches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "estimate", lambda *_: Need(GIB, 3 * GIB))
    monkeypatch.setattr(memory, "available_memory", lambda: 5 * GIB)
    model = SimpleNamespace(micro_batch=None)
    batch = {"image": torch.empty(16, 3, 64, 64, device="meta")}
    memory.describe_on_cpu(model, batch, "32-true", processes=1)
    assert capsys.readouterr().out == "memory: about 3.0 GiB in addition to PyTorch and the images (batch 16)\n"
    memory.describe_on_cpu(model, batch, "32-true", processes=2)
    assert "memory: only 5.0 GiB are available; use a smaller data.batch_size" in capsys.readouterr().out
