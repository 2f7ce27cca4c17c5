"""torch.compile, without a compiler (aot_eager has inductor's graphs): same losses, second derivatives, errors."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from gan.penalties.gradients import uncompiled
from gan.utils.errors import UserError
from gan.utils.torch_runtime import compile_in_place
from tests.recipes import build, fit

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf.*")  # Dynamo asks


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "options", "graphs"),
    [
        ("dcgan", ("penalty=[]",), 3),  # G; D of D's update, and of G's
        ("wgan_gp", (), 3),
        ("cyclegan", ("penalty=[cycle]",), 4),
    ],
)
def test_a_compiled_recipe_has_the_same_losses(recipe: str, options: tuple[str, ...], graphs: int) -> None:
    plain = fit(build(recipe, *options), 3)
    assert counters["stats"]["unique_graphs"] == 0
    compiled = fit(build(recipe, *options, "model.compile=aot_eager"), 3)
    assert counters["stats"]["unique_graphs"] >= graphs
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for name, values in plain.loss_log.pending.items():
        torch.testing.assert_close(compiled.loss_log.pending[name], values, rtol=1e-4, atol=1e-5)


def test_second_derivatives_need_it_uncompiled() -> None:
    class Cubic(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x**3

    network, x = Cubic(), torch.tensor([2.0], requires_grad=True)
    compile_in_place("aot_eager", network)
    with uncompiled(network):
        (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, x)
    assert curvature.item() == 12
    (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        slope.backward()


def test_a_missing_or_broken_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"model.compile=inducter: .*; backends are .*inductor"):
        compile_in_place("inducter", nn.Identity())

    def fails(*_: object) -> None:
        raise RuntimeError("no C++ compiler\nwas found")

    torch.compiler.list_backends()  # which makes the table of them
    monkeypatch.setitem(torch._dynamo.backends.registry._BACKENDS, "broken", None)
    monkeypatch.setitem(torch._dynamo.backends.registry._COMPILER_FNS, "broken", fails)
    fails._tags = ()
    with pytest.raises(UserError, match=r"model.compile=broken: .*no C\+\+ compiler"):
        compile_in_place("broken", nn.Identity())
