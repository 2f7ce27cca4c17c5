"""Vectors are read from a file only for the generator for which they were written."""

from pathlib import Path

import pytest
import torch

from gan.editing.space import Space
from gan.editing.vector_files import read_directions, read_effects, read_latents, stack_latents, write
from gan.networks import dcgan, stylegan2
from gan.utils.errors import UserError


def test_vectors_belong_to_their_generator(tmp_path: Path) -> None:
    networks = [stylegan2.Generator((16, 16), width=4, max_channels=8, latent_dim=8) for _ in range(2)]
    path, space = tmp_path / "v.safetensors", Space(networks[0])
    vectors = {"b": torch.randn(8), "a": torch.randn(8, 2).T[0]}
    write(path, vectors, space)
    directions = read_directions(path, networks[0])
    assert directions.keys() == vectors.keys() and all(torch.equal(directions[key], vectors[key]) for key in vectors)
    before = path.read_bytes()
    for _ in range(8):
        write(path, vectors, space)
        assert path.read_bytes() == before
    with pytest.raises(UserError, match="belongs to another model"):
        read_directions(path, networks[1])
    with pytest.raises(UserError, match="give a file of latents of images, written by gan project"):
        read_latents(path, networks[0])
    write(path, vectors, space, labels="{}", options="x")
    stored = read_latents(path, networks[0])
    assert stored.about["options"] == "x" and not stored.labels
    with pytest.raises(UserError, match="give a file of directions, written by gan directions"):
        read_directions(path, networks[0])
    write(path, vectors, Space(networks[0], "z"))
    with pytest.raises(UserError, match="or latent space"):
        read_directions(path, networks[0])
    path.write_bytes(path.read_bytes()[:40])
    for missing in (path, tmp_path / "none"):
        with pytest.raises(UserError, match="cannot be read"):
            read_directions(missing, networks[0])


def test_effects_of_directions_are_text_of_one_line(tmp_path: Path) -> None:
    path, space = tmp_path / "v.safetensors", Space(dcgan.Generator((16, 16), width=4, latent_dim=8))
    write(path, {"pca0": torch.randn(8)}, space)
    assert read_effects(path) == {}
    write(path, {"pca0": torch.randn(8)}, space, effects='{"pca0": "less warmth", "pca1": "a\\nb", "pca2": 3}')
    assert read_effects(path) == {"pca0": "less warmth", "pca1": "a\\nb", "pca2": "3"}
    assert read_directions(path, space.generator).keys() == {"pca0"}
    write(path, {"pca0": torch.randn(8)}, space, effects="[1]")
    with pytest.raises(UserError, match="its effects cannot be read"):
        read_effects(path)


def test_latents_have_one_shape_and_labels(tmp_path: Path) -> None:
    path, network = tmp_path / "v.safetensors", dcgan.Generator((16, 16), width=4, latent_dim=8, classes=3)
    vectors = {"b": torch.randn(8), "a": torch.randn(8)}
    write(path, vectors, Space(network), labels='{"a": 2, "b": 0}')
    names, latents, labels = stack_latents(path, network)
    assert torch.equal(latents[names.index("a")], vectors["a"])
    assert labels is not None and labels[names.index("a")] == 2
    write(path, vectors, Space(network), labels='{"a": 3, "b": 0}')
    with pytest.raises(UserError, match="has no label from 0 to 2"):
        stack_latents(path, network)
    for wrong in ({"a": torch.randn(9)}, {"a": torch.randn(8).double()}, {}):
        write(path, wrong, Space(network), labels='{"a": 0}')
        with pytest.raises(UserError, match="must be float32 and have one shape"):
            stack_latents(path, network)
