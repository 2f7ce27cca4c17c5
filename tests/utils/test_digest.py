"""Digests: of equal values equal, whatever holds them."""

import subprocess
import sys
from pathlib import Path

import torch

from gan.utils import digest


def test_bytes_files_and_tensors_agree(tmp_path: Path) -> None:
    values = torch.arange(24, dtype=torch.float32).view(2, 3, 4)
    data = values.numpy().tobytes()
    (tmp_path / "x").write_bytes(data)
    found = {digest.of_bytes(data), digest.of_file(tmp_path / "x"), digest.of_tensor(values)}
    assert len(found) == 1 and len(found.pop()) == 32
    assert digest.of_tensor(values.transpose(0, 1)) == digest.of_tensor(values.transpose(0, 1).contiguous())
    assert digest.of_tensor(torch.tensor(3)) != digest.of_tensor(torch.tensor(4))


def test_names_and_order_of_tensors_count() -> None:
    a, b = torch.ones(2), torch.zeros(2)
    found = {digest.of_tensors(each) for each in ([("a", a), ("b", b)], [("b", b), ("a", a)], [("x", a), ("b", b)])}
    assert len(found) == 3


def test_seeds_are_functions_of_the_key_in_every_process() -> None:
    assert digest.seed_of(0, "a", 1) != digest.seed_of(0, "a", 2) != digest.seed_of(1, "a", 2)
    code = "from gan.utils.digest import seed_of; print(seed_of(3, 'latents', 17))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0 <= int(printed) == digest.seed_of(3, "latents", 17) < 2**63
