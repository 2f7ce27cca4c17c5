"""A device "card" that simulates CUDA on a machine without it, with fake tensors and the rules of CUDA's autocast.

Importing this file registers the device for the whole process.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._pytree import tree_map

NAME = "card"
AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)
# Operations of our networks, by the lists of aten/src/ATen/autocast_mode.h. All others take their inputs unchanged.
BF16 = "conv2d.default conv_transpose2d.input convolution.default linear.default matmul.default mm.default "
BF16 += "bmm.default mv.default addmm.default"
FP32 = "softplus.default rsqrt.default exp.default log.default sum.default sum.dim_IntList pow.Tensor_Scalar "
FP32 += "linalg_vector_norm.default upsample_bilinear2d.default upsample_bilinear2d.vec upsample_nearest2d.default "
FP32 += "upsample_nearest2d.vec _upsample_bilinear2d_aa.default cross_entropy_loss.default l1_loss.default"
WIDEST = "grid_sampler.default bilinear.default dot.default vdot.default"


class Backend(backend_registration._DummyBackendModule):
    """The members of a device's module that torch uses for autocast, random numbers and checkpointing."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.empty(16, dtype=torch.uint8)

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        pass

    def manual_seed(self, seed: int) -> None:
        pass

    class device:
        def __init__(self, index: Any) -> None:
            pass

        def __enter__(self) -> None:
            pass

        def __exit__(self, *error: object) -> None:
            pass


class Generator(torch.Generator):
    """A generator of random numbers whose `device` is the simulated device."""

    @property
    def device(self) -> torch.device:
        return torch.device(NAME, 0)

    def manual_seed(self, seed: int) -> torch.Generator:
        return self


def lowered(op: Any, dtype: torch.dtype) -> Any:
    """Return the operation as under autocast, which casts inputs on the device to `dtype`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(AUTOCAST):
            return op(*tree_map(cast, args), **tree_map(cast, kwargs))

    def cast(x: Any) -> Any:
        floating = isinstance(x, Tensor) and x.device.type == NAME and x.is_floating_point()
        return x.to(dtype) if floating and x.dtype != torch.float64 else x

    return call


def register() -> list[torch.library.Library]:
    """Register the device and its autocast; return the libraries, which must stay alive."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
    fallback = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")
    fallback.fallback(torch.library.fallthrough_kernel)
    rules = torch.library.Library("aten", "IMPL", "AutocastPrivateUse1")
    for names, dtype in ((BF16, torch.bfloat16), (FP32, torch.float32), (WIDEST, torch.float32)):
        for name in names.split():
            packet, overload = name.split(".")
            op = getattr(getattr(torch.ops.aten, packet), overload)
            rules.impl(name.removesuffix(".default"), lowered(op, dtype), "AutocastPrivateUse1")
    return [fallback, rules]


LIBRARIES = register()
DEVICE = torch.device(NAME, 0)
