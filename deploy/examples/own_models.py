#!/usr/bin/env python3
"""Writes a model repository with one model of each kind people bring.

    python3 deploy/examples/own_models.py models

    models/ring         an energy: a PyTorch module, exported to ONNX
    models/blobs        a classifier: its logits are read as energies
    models/bars         an RBM from NumPy weights, in a safetensors file
    models/regression   a conditional energy E(y | x): x comes with the request

Needs PyTorch and NumPy (Debian: python3-torch python3-onnx python3-numpy).
deploy/docs/your_own_model.md walks through it. Weights are of fixed seeds;
what is trained is trained for seconds.
"""

import json
import os
import struct
import sys

import numpy as np
import torch


def write(folder, config, model=None, name="model.onnx"):
    """models/<name>/config.pbtxt, and the weights as version 1."""
    os.makedirs(os.path.join(folder, "1"), exist_ok=True)
    with open(os.path.join(folder, "config.pbtxt"), "w") as file:
        file.write(config.lstrip())
    if model is not None:
        with open(os.path.join(folder, "1", name), "wb") as file:
            file.write(model)


def export(module, inputs, names, output, folder):
    """torch.onnx.export with an open row dimension."""
    os.makedirs(os.path.join(folder, "1"), exist_ok=True)
    torch.onnx.export(
        module.eval(), inputs, os.path.join(folder, "1", "model.onnx"),
        input_names=names, output_names=[output], opset_version=17,
        dynamic_axes={name: {0: "N"} for name in names + [output]})


# An energy: low where the data is.
class Ring(torch.nn.Module):
    def forward(self, x):                            # [N, 2] -> [N]
        radius = (x * x).sum(1).add(1e-12).sqrt()
        return 8 * (radius - 2) ** 2


def ring(root):
    export(Ring(), torch.ones(2, 2), ["x"], "energy", f"{root}/ring")
    write(f"{root}/ring", """
family: GRAPH
input { name: "x" shape: [2] }
domain { lower: -4 upper: 4 }
defaults { steps: 500 transition { mala { step_size: 0.1 } } }
replay { capacity: 1024 restart_probability: 0.05 }
""")


# A classifier: E(x) = -logsumexp_y logits(x)[y], E(x, y) = -logits(x)[y].
def blobs(root):
    torch.manual_seed(0)
    centres = torch.tensor([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]])
    labels = torch.arange(600) % 3
    points = centres[labels] + 0.3 * torch.randn(600, 2)
    net = torch.nn.Sequential(
        torch.nn.Linear(2, 32), torch.nn.SiLU(), torch.nn.Linear(32, 3))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(points), labels).backward()
        optimiser.step()
    export(net, torch.zeros(2, 2), ["x"], "logits", f"{root}/blobs")
    write(f"{root}/blobs", """
family: CLASSIFIER
input { name: "x" shape: [2] }
domain { lower: -4 upper: 4 }
defaults { steps: 500 transition { mala { step_size: 0.2 } } }
""")


def safetensors(tensors):
    """The bytes of a .safetensors file of float32 arrays."""
    header, data = {}, b""
    for name, array in tensors.items():
        array = np.ascontiguousarray(array, np.float32)
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


# An RBM over 3x3 pixels that likes whole bars: each hidden unit is a row or a
# column. The visible bias makes other pixels dark.
def bars(root):
    weights = np.zeros((9, 6), np.float32)
    for unit in range(3):
        weights[[3 * unit, 3 * unit + 1, 3 * unit + 2], unit] = 4
        weights[[unit, unit + 3, unit + 6], 3 + unit] = 4
    write(f"{root}/bars", """
family: RBM
""", safetensors({"W": weights, "b": np.full(9, -4), "c": np.full(6, -6)}),
          "model.safetensors")


# A conditional energy: y given x. The state is y; x is a context input.
class Regression(torch.nn.Module):
    def forward(self, y, x):                         # [N, 1], [N, 1] -> [N]
        return 0.5 * ((y - torch.sin(x)) / 0.1).square().sum(1)


def regression(root):
    export(Regression(), (torch.zeros(2, 1), torch.zeros(2, 1)), ["y", "x"],
           "energy", f"{root}/regression")
    write(f"{root}/regression", """
family: GRAPH
input { name: "y" shape: [1] }
context { name: "x" min_value: -3.2 max_value: 3.2 }
defaults { steps: 200 transition { mala { step_size: 0.01 } } }
""")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: own_models.py FOLDER")
    for make in (ring, blobs, bars, regression):
        make(sys.argv[1])
        print(f"wrote {sys.argv[1]}/{make.__name__}")


if __name__ == "__main__":
    main()
