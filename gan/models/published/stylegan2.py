"""StyleGAN2: snapshots of NVIDIA's code for PyTorch (StyleGAN2-ADA) and TensorFlow, and checkpoints of rosinality's."""

from __future__ import annotations

from itertools import count
from typing import Any

import torch
from torch import Tensor

from gan.models.published.result import Published, Unsupported, renamed
from gan.models.published.tensors import check_sizes, modules, of_module, state_dict, state_of, tensor
from gan.utils.pickles import Record

ORIGINS = ("StyleGAN2-ADA (PyTorch)", "StyleGAN2 (TensorFlow)", "StyleGAN2 (rosinality)")
PYTORCH, TENSORFLOW, ROSINALITY = range(3)  # columns of the tables
ROW = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8  # the only filter of the networks here
LR_MULTIPLIER = 0.01  # of the mapping networks here
USUAL = {"resample_kernel": [1, 3, 3, 1], "nonlinearity": "lrelu", "mapping_nonlinearity": "lrelu",
         "mapping_lrmul": LR_MULTIPLIER}  # fmt: skip
MIN_VERSION = 4  # of a network of TensorFlow; earlier ones are StyleGAN and Progressive GAN
MBSTD_GROUP = 4  # default group size of the minibatch standard deviation
MAX_STAGES = 12
MAX_LAYERS = 64  # of a mapping network

Weights = dict[str, Tensor]

# Names of weights here, and in StyleGAN2-ADA, TensorFlow and rosinality's code. * stands for weight and bias.
GENERATOR = """
constant              synthesis.b4.const  synthesis/4x4/Const/const  input.input
center                mapping.w_avg       dlatent_avg                latent_avg
mapping.embedding.*   mapping.embed.*     mapping/LabelEmbed/*       -
mapping.layers.{n}.*  mapping.fc{n}.*     mapping/Dense{n}/*         style.{next}.*
"""
LAYER = """
{layer}.modulated.convolution.weight  {conv}.weight          {grid}/weight            {ros}.conv.weight
{layer}.modulated.style.weight        {conv}.affine.weight   {grid}/mod_weight        {ros}.conv.modulation.weight
{layer}.modulated.style.bias          {conv}.affine.bias     {grid}/mod_bias          {ros}.conv.modulation.bias
{layer}.noise_gain                    {conv}.noise_strength  {grid}/noise_strength    {ros}.noise.weight
{layer}.bias                          {conv}.bias            {grid}/bias              {ros}.activate.bias
{layer}.noise                         {conv}.noise_const     synthesis/noise{number}  noises.noise_{number}
"""
TO_IMAGE = """
{stage}.to_image.convolution.weight  {conv}.weight         {grid}/weight      {ros}.conv.weight
{stage}.to_image.style.weight        {conv}.affine.weight  {grid}/mod_weight  {ros}.conv.modulation.weight
{stage}.to_image.style.bias          {conv}.affine.bias    {grid}/mod_bias    {ros}.conv.modulation.bias
{stage}.image_bias                   {conv}.bias           {grid}/bias        {ros}.bias
"""
DISCRIMINATOR = """
from_image.weight  b{size}.fromrgb.weight  {size}x{size}/FromRGB/weight  convs.0.0.weight
from_image.bias    b{size}.fromrgb.bias    {size}x{size}/FromRGB/bias    convs.0.1.bias
last.weight        b4.conv.weight          4x4/Conv/weight               final_conv.0.weight
last.bias          b4.conv.bias            4x4/Conv/bias                 final_conv.1.bias
dense.*            b4.fc.*                 4x4/Dense0/*                  final_linear.0.*
to_logit.*         b4.out.*                Output/*                      final_linear.1.*
embedding.*        mapping.embed.*         LabelEmbed/*                  -
mapping.{n}.*      mapping.fc{n}.*         Mapping{n}/*                  -
"""
BLOCK = """
blocks.{n}.first.weight     b{side}.conv0.weight  {side}x{side}/Conv0/weight       convs.{next}.conv1.0.weight
blocks.{n}.first.bias       b{side}.conv0.bias    {side}x{side}/Conv0/bias         convs.{next}.conv1.1.bias
blocks.{n}.second.weight    b{side}.conv1.weight  {side}x{side}/Conv1_down/weight  convs.{next}.conv2.1.weight
blocks.{n}.second.bias      b{side}.conv1.bias    {side}x{side}/Conv1_down/bias    convs.{next}.conv2.2.bias
blocks.{n}.shortcut.weight  b{side}.skip.weight   {side}x{side}/Skip/weight        convs.{next}.skip.1.weight
"""


def names(table: str, origin: int, **places: object) -> dict[str, str]:
    rows = [row.split() for row in table.format(**places).strip().splitlines()]
    pairs = [(row[1 + origin], row[0]) for row in rows]
    return {theirs.replace("*", kind): ours.replace("*", kind) for theirs, ours in pairs for kind in ("weight", "bias")}


def generator_names(origin: int) -> dict[str, str]:
    """Return the names here of the weights of a generator of any size by those of a program."""
    found: dict[str, str] = {}
    for n in range(MAX_LAYERS):
        found |= names(GENERATOR, origin, n=n, next=n + 1)
    for n in range(MAX_STAGES):
        stage, conv, grid = f"stages.{n}", f"synthesis.b{4 << n}", f"synthesis/{4 << n}x{4 << n}"
        image = {"conv": f"{conv}.torgb", "grid": f"{grid}/ToRGB", "ros": f"to_rgbs.{n - 1}" if n else "to_rgb1"}
        found |= names(TO_IMAGE, origin, stage=stage, **image)
        kinds = [(0, "conv0", "Conv0_up"), (1, "conv1", "Conv1")] if n else [(0, "conv1", "Conv")]
        for layer, of_ada, of_tensorflow in kinds:
            number = 2 * n + layer - (n > 0)  # of all layers
            places = {"conv": f"{conv}.{of_ada}", "grid": f"{grid}/{of_tensorflow}", "number": number}
            ros = f"convs.{number - 1}" if n else "conv1"
            found |= names(LAYER, origin, layer=f"{stage}.layers.{layer}", ros=ros, **places)
    return found


def discriminator_names(origin: int, size: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for n in range(MAX_LAYERS):
        found |= names(DISCRIMINATOR, origin, size=size, n=n)
    for n in range(size.bit_length() - 3):
        found |= names(BLOCK, origin, n=n, next=n + 1, side=size >> n)
    return found


def from_modules(snapshot: dict[str, Any]) -> Published:
    """Return the weights of a snapshot of StyleGAN2-ADA: pickled modules G_ema and D."""
    (generator, of_g), (discriminator, of_d) = (of_module(snapshot.get(name)) for name in ("G_ema", "D"))
    for name, value in (*of_g.items(), *of_d.items()):
        usual = LR_MULTIPLIER if name.startswith("mapping.fc") and name.endswith("bias_gain") else value
        if value != usual or (name.endswith("activation") and value not in ("lrelu", "linear")):
            raise Unsupported(f"{ORIGINS[PYTORCH]} with {name}={value}")
    return published(PYTORCH, generator, discriminator, of_d.get("b4.mbstd.group_size"))


def from_tensorflow(networks: tuple[Record, Record, Record]) -> Published:
    """Return the weights of a pickle of NVIDIA's code for TensorFlow: the networks G, D and the EMA of G."""
    _, discriminator, generator = map(state_of, networks)
    if generator.get("version", 0) < MIN_VERSION:
        raise Unsupported("StyleGAN or Progressive GAN (TensorFlow)")
    for name, usual in USUAL.items():
        if any(network["static_kwargs"].get(name, usual) != usual for network in (generator, discriminator)):
            raise Unsupported(f"{ORIGINS[TENSORFLOW]} with another {name} than {usual}")
    _, of_d, theirs = map(variables, networks)
    return published(TENSORFLOW, theirs, of_d, discriminator["static_kwargs"].get("mbstd_group_size"))


def variables(network: Record) -> dict[str, Tensor]:
    parts = modules(network, "/", "components")
    pairs = [(f"{prefix}{name}", value) for prefix, part in parts for name, value in part["variables"] if name != "lod"]
    found = {name: tensor(value) for name, value in pairs}  # without lod, a constant
    check_sizes(found)
    return {name: in_order(name, value) for name, value in found.items()}


def in_order(name: str, value: Tensor) -> Tensor:
    """Return a variable of TensorFlow with the outputs first, as in PyTorch; a bias of styles includes 1."""
    if value.ndim == 4 and name.endswith("/weight"):
        kernel = value.flip(0, 1) if name.endswith("Conv0_up/weight") else value  # of a transposed convolution
        return kernel.permute(3, 2, 0, 1)
    if value.ndim == 2 and not name.startswith("synthesis/noise"):
        return value.T
    return value + 1 if name.endswith("mod_bias") else value


def from_rosinality(checkpoint: dict[str, Any]) -> Published:
    """Return the weights of a checkpoint of rosinality's code: state dicts g_ema and d, and latent_avg in some."""
    generator = state_dict(checkpoint["g_ema"])
    if "latent_avg" in checkpoint:
        generator["latent_avg"] = tensor(checkpoint["latent_avg"])
    return published(ROSINALITY, generator, state_dict(checkpoint.get("d", {})), MBSTD_GROUP)


def published(origin: int, theirs: Weights, theirs_of_d: Weights, group: int | None) -> Published:
    """Return weights by the names of the networks here, and the options of the networks, which follow from shapes.

    Args:
        theirs, theirs_of_d: weights and filters by the program's names; none of a missing discriminator.
        group: group size of the minibatch standard deviation, if the file has one.
    """
    for weights in (theirs, theirs_of_d):
        for name in [name for name in weights if name.endswith(("resample_filter", "kernel"))]:
            kernel = weights.pop(name)
            if kernel.shape != (4, 4) or not torch.allclose(kernel / kernel.sum(), torch.outer(ROW, ROW)):
                raise Unsupported(f"{ORIGINS[origin]} with another filter than [1, 3, 3, 1]")
    generator = renamed(theirs, generator_names(origin))
    stages = next(n for n in count() if f"stages.{n}.image_bias" not in generator)
    size = 2 << stages
    channels, width = generator[f"stages.{stages - 1}.to_image.convolution.weight"].shape[-4:-2]
    embedding = generator.get("mapping.embedding.weight")  # (latent_dim, classes)
    shared = {"size": [size, size], "channels": channels, "classes": 0 if embedding is None else embedding.shape[1]}
    options = {
        "_target_": "gan.networks.stylegan2.Generator",
        **shared,
        "width": width,
        "latent_dim": len(generator["mapping.layers.0.weight"]),
        "max_channels": generator["constant"].shape[-3],
        "mapping_layers": sum(name.startswith("mapping.layers.") for name in generator) // 2,
        "border": "zeros",
        "center": "center" in generator,
    }
    result = Published(ORIGINS[origin], size, options, {"generator": generator})
    if theirs_of_d:
        discriminator = renamed(theirs_of_d, discriminator_names(origin, size))
        last = discriminator["last.weight"]
        result.weights["discriminator"] = discriminator
        result.discriminator = {
            "_target_": "gan.networks.stylegan2.Discriminator",
            **shared,
            "width": len(discriminator["from_image.weight"]),
            "max_channels": len(last),
            "mbstd_group_size": (group or MBSTD_GROUP) if last.shape[1] > len(last) else 1,
            "mapping_layers": sum(name.startswith("mapping.") for name in discriminator) // 2,
            "architecture": "resnet" if "blocks.0.shortcut.weight" in discriminator else "orig",
        }
    return result
