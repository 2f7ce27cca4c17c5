"""Vectors are read from a file only for the generator for which they were written."""

from pathlib import Path

import pytest
import torch

from gan.common.errors import UserError
from gan.latent import store
from gan.latent.space import Space
from gan.networks import stylegan2


def test_vectors_belong_to_their_generator(tmp_path: Path) -> None:
    networks = [stylegan2.Generator((16, 16), width=4, max_channels=8, latent_dim=8) for _ in range(2)]
    path = tmp_path / "v.safetensors"
    vectors = {"b": torch.randn(8), "a": torch.randn(8, 2).T[0]}
    for name in ("z", "w"):
        store.write(path, vectors, Space(networks[0], name), steps="3")
        found, space, about = store.read(path, networks[0])
        assert about["steps"] == "3"
        assert space.name == name and space.generator is networks[0]
        assert found.keys() == vectors.keys() and all(torch.equal(found[key], vectors[key]) for key in vectors)
    before = path.read_bytes()
    for _ in range(8):
        store.write(path, vectors, Space(networks[0], "w"), steps="3")
        assert path.read_bytes() == before
    with pytest.raises(UserError, match="belongs to another model"):
        store.read(path, networks[1])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="cannot be read"):
        store.read(path, networks[0])
    with pytest.raises(UserError, match="cannot be read"):
        store.read(tmp_path / "none", networks[0])
