"""The division of a step that fits into the memory of a GPU: how it is chosen, applied, stored and resumed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.losses.nonsaturating import Nonsaturating
from gan.networks import dcgan, r3gan, stylegan2
from gan.training import memory
from gan.training.memory import example, first_that_fits, images_together, micro_batches
from gan.utils.errors import UserError
from tests.conftest import ROOT, Train, command
from tests.recipes import RECIPES, build, fit
from tests.test_card import DIVIDED

CPU = torch.device("cpu")
PARTS = 3  # processes that share the recipes, because all of them take minutes
SIZE = (16, 16)


class OutOfMemory(Nonsaturating):
    """A loss that raises the error of a GPU without free memory for more than some images."""

    signed_logits = True

    def __init__(self, most: int = 0) -> None:
        super().__init__()
        self.most = most

    def discriminator(self, real_logits: Any, fake_logits: Any) -> Tensor:
        if len(real_logits) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().discriminator(real_logits, fake_logits)


def test_micro_batches_are_multiples_of_images_together() -> None:
    blocks = r3gan.Generator(SIZE, width=16), r3gan.Discriminator(SIZE, width=16)
    assert images_together(*blocks) == 1
    assert images_together(blocks[0], stylegan2.Discriminator(SIZE, width=4)) == 4
    assert images_together(blocks[0], dcgan.Discriminator(SIZE, width=4)) is None
    sixes = nn.Identity()
    sixes.images_together = 6
    assert images_together(stylegan2.Discriminator(SIZE, width=4), sixes) == 12


def test_the_largest_micro_batch_comes_first_and_options_are_kept() -> None:
    assert micro_batches(build("stylegan2")[0], 16) == [None, 8, 4]
    assert micro_batches(build("fastgan")[0], 16) == [None]  # BatchNorm
    assert micro_batches(build("stylegan2", "model.micro_batch=3")[0], 16) == [3]


@pytest.mark.parametrize(("most", "expected"), [(8, [None]), (2, [2]), (0, [])])
def test_the_first_size_that_fits_is_found_and_the_model_does_not_change(most: int, expected: list[int | None]) -> None:
    module, data = build("r3gan")
    module.loss = OutOfMemory(most)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    options = micro_batches(module, 8)
    index = first_that_fits(module, options, example(module, data, 8, CPU), CPU, None)
    assert options[index : index + 1] == expected
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.micro_batch is None


def test_all_ranks_take_the_size_of_the_one_with_the_least_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limits: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda fraction, _: limits.append(fraction))
    monkeypatch.setattr(memory, "first_that_fits", lambda *_: 0)
    monkeypatch.setattr(memory, "example", lambda *_: {})
    monkeypatch.setattr(torch, "tensor", lambda value, device: torch.full((), value))
    of_others = [1, 99]
    model = SimpleNamespace(
        batch_size=8, data=None, generator=nn.Identity(), discriminator=nn.Identity(), micro_batch=None,
        all_gather=lambda x: torch.stack([x, torch.full((), of_others.pop(0))]),
    )  # fmt: skip
    trainer: Any = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("cuda", 0)), world_size=2, precision="bf16-mixed"
    )
    assert memory.choose(model, trainer) == 2 and limits == [memory.USABLE, 1.0]
    assert capsys.readouterr().out == "memory: batch 4 in micro-batches of 2\n"
    monkeypatch.setattr(memory, "micro_batches", lambda *_: [None] * 99)
    with pytest.raises(UserError, match="the GPU is out of memory"):
        memory.choose(model, trainer)


@pytest.mark.slow
def test_the_micro_batch_is_kept_at_resume(tmp_path: Path) -> None:
    fit(build("r3gan", "model.micro_batch=2"), 2, save=tmp_path / "some.ckpt")
    assert fit(build("r3gan"), 3, resume=tmp_path / "some.ckpt").micro_batch == 2
    assert fit(build("r3gan", "model.micro_batch=1"), 3, resume=tmp_path / "some.ckpt").micro_batch == 1


def test_on_a_cpu_the_step_is_not_divided() -> None:
    module, data = build("dcgan")
    fit((module, data), 1)
    assert module.divided and module.micro_batch is None


def test_a_run_out_of_memory_ends_with_one_line(train: Train) -> None:
    result = train("loss._target_=tests.training.test_memory.OutOfMemory", "images=16", check=2)
    (line,) = result.stderr.splitlines()
    assert "out of memory" in line
    for option in ("model.micro_batch=2", "data.batch_size", "data.size", "width"):
        assert option in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "recipes"), [*((256, RECIPES[part::PARTS]) for part in range(PARTS)), (64, [*DIVIDED])]
)
def test_counted_peaks_on_a_gpu(size: int, recipes: list[str]) -> None:
    """With the defaults of CUDA, each recipe fits into 24 GiB; test_card counts whole batches of 64 pixels."""
    lines = command(["-m", "tests.fake_step", str(size), *recipes], ROOT).stdout.splitlines()[1:]
    assert len(lines) == len(recipes) > 0
    assert all(float(line.split("|")[6]) <= 22 for line in lines), lines
