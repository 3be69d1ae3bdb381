#!/usr/bin/env python3
"""Writes tests/data/models: small served examples of every model family.

    python3 tests/data/make_models.py

Needs what deploy/examples/own_models.py needs, which makes four of them. All
weights are made here: no licence but this project's applies.
"""

import os
import sys

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "deploy", "examples"))
import own_models  # noqa: E402

ROOT = os.path.join(HERE, "models")


def gaussian(name, mean, variance):
    own_models.write(f"{ROOT}/{name}", f"""
family: MIXTURE
mixture {{ component {{ weight: 1 mean: [{mean}] covariance: {variance} }} }}
defaults {{ steps: 100 transition {{ mala {{ step_size: 0.5 }} }} }}
""")
    os.makedirs(f"{ROOT}/{name}/1", exist_ok=True)
    open(f"{ROOT}/{name}/1/keep", "w").close()


# The energies that matter here differ in the ninth digit.
class Offset(torch.nn.Module):
    def forward(self, x):                            # [N, 1] -> [N]
        return (0.5 * x * x + 1e8).sum(1)


# A quadratic form, whose product bfloat16 rounds.
class Quadratic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        factor = torch.randn(16, 16) / 4
        self.matrix = torch.nn.Parameter(factor @ factor.T + torch.eye(16))

    def forward(self, x):                            # [N, 16] -> [N]
        return 0.5 * (x * (x @ self.matrix)).sum(1)


def precise(name, module, dimension, precision, step_size):
    own_models.export(module, torch.zeros(2, dimension), ["x"], "energy",
                      f"{ROOT}/{name}")
    own_models.write(f"{ROOT}/{name}", f"""
family: GRAPH
input {{ name: "x" shape: [{dimension}] }}
precision: {precision}
defaults {{ transition {{ mala {{ step_size: {step_size} }} }} }}
""")


def config_only(name, config):
    own_models.write(f"{ROOT}/{name}", config)
    open(f"{ROOT}/{name}/1/keep", "w").close()


def main():
    for make in (own_models.ring, own_models.blobs, own_models.bars,
                 own_models.regression):
        make(ROOT)
    precise("offset", Offset(), 1, "FLOAT64", 0.5)
    precise("quadratic", Quadratic(), 16, "FLOAT32", 0.2)
    precise("quadratic_bf16", Quadratic(), 16, "BF16", 0.2)
    gaussian("gauss_a", 0, 1)
    gaussian("gauss_b", 2, 0.5)
    config_only("gauss_product", """
family: COMPOSITION
composition {
  kind: PRODUCT
  term { model: "gauss_a" }
  term { model: "gauss_b" weight: 0.5 }
}
defaults { transition { mala { step_size: 0.5 } } }
""")
    config_only("ising", """
family: LATTICE
lattice { size: [4, 4] coupling: 0.5 }
""")
    config_only("potts", """
family: LATTICE
lattice { size: [5] states: 3 coupling: 1 boundary: FREE }
""")
    own_models.write(
        f"{ROOT}/deep", """
family: BOLTZMANN
boltzmann { layer: [3, 2, 1] }
""", own_models.safetensors({
            "b0": np.array([1, 2, 3]), "W0": np.array([[1, 0], [0, 1], [2, 0]]),
            "b1": np.array([-1, 1]), "W1": np.array([[4], [8]]),
        }), "model.safetensors")
    own_models.write(
        f"{ROOT}/gaussian_rbm", """
family: RBM
rbm { visible: GAUSSIAN }
""", own_models.safetensors({
            "W": np.array([[1.5, -1], [0.5, 2]]), "b": np.array([-0.5, 1]),
            "c": np.array([0.3, -0.8]), "sigma": np.array([0.7, 1.2]),
        }), "model.safetensors")


if __name__ == "__main__":
    main()
