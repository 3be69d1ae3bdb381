#!/usr/bin/env python3
"""Exports the mixture2d demo model: an analytic, normalised 2-D Gaussian mixture (ln Z = 0)."""

import argparse

import torch

import common
from models import Mixture2d

WEIGHTS = [0.30, 0.25, 0.20, 0.15, 0.10]
MEANS = [[0.0, 0.0], [3.0, 1.5], [-2.5, 2.0], [-2.0, -2.5], [2.5, -2.0]]
COVARIANCES = [
    [[0.60, 0.20], [0.20, 0.40]],
    [[0.80, -0.45], [-0.45, 0.50]],
    [[0.35, 0.10], [0.10, 0.70]],
    [[0.90, 0.40], [0.40, 0.45]],
    [[0.50, -0.15], [-0.15, 0.60]],
]


def mixture():
    """The mixture of the demo model."""
    return Mixture2d(WEIGHTS, MEANS, COVARIANCES)


def integral(module, half_width=12.0, cells=1200):
    """Integral of exp(-E) over a square by the midpoint rule; should be 1."""
    step = 2 * half_width / cells
    axis = (torch.arange(cells, dtype=torch.float64) + 0.5) * step - half_width
    points = torch.cartesian_prod(axis, axis)
    return float(torch.exp(-module(points)).sum()) * step * step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, metavar="FILE", help="ONNX file to write")
    options = parser.parse_args()
    module = mixture().double()
    print(f"integral of exp(-E) over [-12, 12]^2: {integral(module):.12f}")
    common.export_onnx(module, torch.rand(3, 2), "energy", options.out)
    far = torch.tensor([[1e6, -1e6], [-1e18, 0.0]])
    print(f"float32 energies of far points: {module(far).tolist()}")


if __name__ == "__main__":
    main()
