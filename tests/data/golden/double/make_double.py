#!/usr/bin/env python3
"""Writes model.onnx, x.npy, energy.npy and grad.npy: an energy in float64.

Attention over tokens, GELU, SELU and a product by a constant that float32 does
not hold, from torch.double weights; energies and gradients by PyTorch in
float64. x is float32, as states are. Needs PyTorch 1.13 and ONNX 1.12.
"""

import pathlib

import numpy as np
import torch


class Energy(torch.nn.Module):
    """E(x) = 0.1 |x|^2 + a small transformer's answer; x is [N, 6, 5]."""

    def __init__(self):
        super().__init__()
        self.qkv = torch.nn.Linear(5, 15)
        self.wide = torch.nn.Linear(5, 12)
        self.narrow = torch.nn.Linear(12, 3)
        self.selu = torch.nn.SELU()
        self.gelu = torch.nn.GELU()
        self.softplus = torch.nn.Softplus()

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        weights = torch.softmax(q @ k.transpose(1, 2) / 5**0.5, dim=-1)
        h = self.gelu(self.wide(x + weights @ v))
        h = self.selu(self.narrow(h))
        energy = self.softplus(h).sum(dim=(1, 2))
        return energy + 0.1 * (x * x).sum(dim=(1, 2))


def main():
    folder = pathlib.Path(__file__).parent
    torch.manual_seed(1)
    model = Energy().double()
    x = torch.randn(16, 6, 5, dtype=torch.float32)
    state = x.double().requires_grad_()
    energy = model(state)
    (grad,) = torch.autograd.grad(energy.sum(), state)
    np.save(folder / "x.npy", x.numpy())
    np.save(folder / "energy.npy", energy.detach().numpy())
    np.save(folder / "grad.npy", grad.numpy())
    torch.onnx.export(
        model, state, str(folder / "model.onnx"), opset_version=17,
        input_names=["x"], output_names=["energy"],
        dynamic_axes={"x": {0: "N"}, "energy": {0: "N"}})


if __name__ == "__main__":
    main()
