#!/usr/bin/env python3
"""Writes golden energies and gradients, computed in double from the float32 weights.

For every module of architectures.py: OUT/NAME/{model.onnx, x.npy, energy.npy, grad.npy}.
For every demo model under --models: the same without the model. Classifiers also get
logits.npy; their energy is -logsumexp(logits). Everything is drawn from fixed seeds.
"""

import argparse
import os

import numpy as np
import torch

import common
from architectures import ARCHITECTURES
from make_mixture2d import mixture
from models import ConvEnergy, DigitClassifier

ROWS = 6
WEIGHT_GAIN = 2.5


def write_golden(folder, module, x):
    """Writes x and the energies, gradients (and logits) of the module in double precision."""
    module = module.eval().float().double()
    x = x.float()
    output = module(x.double()).detach()
    is_classifier = output.dim() == 2
    energy = common.classifier_energy(module) if is_classifier else module
    fields = {"x": x, "energy": energy(x.double()).detach(),
              "grad": common.energy_gradient(energy, x.double())}
    if is_classifier:
        fields["logits"] = output
    os.makedirs(folder, exist_ok=True)
    for name, value in fields.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{folder}: {name} is not finite")
        np.save(os.path.join(folder, f"{name}.npy"), value.numpy())


def strengthen(module):
    """Multiplies the weights of linear maps and convolutions: default ones make flat energies."""
    for layer in module.modules():
        if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
            layer.weight.data.mul_(WEIGHT_GAIN)
    return module


def write_architecture(out, seed, name):
    """Builds one module with seeded weights, exports it and writes its golden values."""
    constructor, shape, opset = ARCHITECTURES[name]
    torch.manual_seed(seed)
    module, x = strengthen(constructor()), torch.randn(ROWS, *shape)
    output = "logits" if name == "small_classifier" else "energy"
    common.export_onnx(module, x[:2], output, os.path.join(out, name, "model.onnx"), opset)
    write_golden(os.path.join(out, name), module, x)


def probe_images(data):
    """Four digits, two articles of clothing, a grey image and uniform noise: [8, 1, 28, 28].

    A little noise breaks ties, at which the gradient of MaxPool is a matter of taste.
    """
    digits, clothes = (
        torch.from_numpy(np.load(os.path.join(data, name)).astype(np.float32)) / 255.0
        for name in ("mnist_test_1000.npy", "fashion_1000.npy"))
    grey = torch.full((1, 1, 28, 28), 0.3)
    images = torch.cat([digits[:4], clothes[:2], grey, torch.rand(1, 1, 28, 28)])
    return 0.98 * images + 0.02 * torch.rand_like(images)


def write_demo_models(out, models, data):
    """Golden values of the three demo models, from the weights in their ONNX files."""
    torch.manual_seed(0)
    images = probe_images(data)
    for name, module in (("mnist_ebm", ConvEnergy()), ("mnist_classifier", DigitClassifier())):
        path = os.path.join(models, name, "1", "model.onnx")
        write_golden(os.path.join(out, name), common.with_weights_of(module, path), images)
    far = torch.tensor([[0.0, 0.0], [40.0, -30.0], [-1e4, 2e4]])
    points = torch.cat([3.0 * torch.randn(13, 2), far])
    write_golden(os.path.join(out, "mixture2d"), mixture(), points)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the golden files")
    parser.add_argument("--models", required=True, metavar="DIR", help="folder of the demo models")
    parser.add_argument("--quickstart-data", required=True, metavar="DIR",
                        help="folder written by make_quickstart_data.py")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed, name in enumerate(ARCHITECTURES):
        write_architecture(options.out, seed, name)
    write_demo_models(options.out, options.models, options.quickstart_data)


if __name__ == "__main__":
    main()
