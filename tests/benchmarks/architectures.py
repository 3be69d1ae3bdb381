#!/usr/bin/env python3
"""Ordinary energies, with random weights, for architecture_benchmark and for PyTorch.

    architectures.py export FOLDER    writes a model repository of them
    architectures.py time [THREADS]   prints "NAME_rows_per_second<TAB>value", one energy and
                                      gradient a row, the faster of PyTorch's memory formats,
                                      and the version, for table.py
"""

import math
import pathlib
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "deploy" / "training"))
from models import ConvEnergy  # noqa: E402

SECONDS, REPETITIONS = 0.5, 5


class WideBlock(nn.Module):
    """The pre-activation residual block of wide residual networks, without norms."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, stride, padding=1)
        self.second = nn.Conv2d(out, out, 3, padding=1)
        self.short_cut = nn.Conv2d(channels, out, 1, stride) if channels != out else nn.Identity()

    def forward(self, x):
        h = functional.leaky_relu(x, 0.2)
        h = self.second(functional.leaky_relu(self.first(h), 0.2))
        return self.short_cut(x) + h


class WideResNet(nn.Module):
    """WRN-28-2 (Zagoruyko and Komodakis 2016) as JEM has it, without norms; x [N, 3, 32, 32]."""

    def __init__(self):
        super().__init__()
        layers, channels = [nn.Conv2d(3, 16, 3, padding=1)], 16
        for out, stride in ((32, 1), (64, 2), (128, 2)):
            for block in range(4):
                layers.append(WideBlock(channels, out, stride if block == 0 else 1))
                channels = out
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, 1)

    def forward(self, x):
        h = functional.leaky_relu(self.features(x), 0.2)
        return self.head(h.mean((2, 3))).squeeze(1)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):                                        # [N, T, width]
        n, tokens, width = x.shape
        qkv = self.inward(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        qkv = qkv.permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]                         # [N, heads, T, d]
        scores = q @ k.transpose(2, 3) / math.sqrt(width // self.heads)
        mixed = scores.softmax(3) @ v
        return self.outward(mixed.transpose(1, 2).reshape(n, tokens, width))


class TransformerBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class Transformer(nn.Module):
    """A pre-norm encoder of 64 tokens to a scalar; x [N, 64, 16]."""

    def __init__(self, layers=6, width=256, heads=8):
        super().__init__()
        self.embed = nn.Linear(16, width)
        self.places = nn.Parameter(0.1 * torch.randn(64, width))
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        h = self.norm(self.blocks(self.embed(x) + self.places))
        return self.head(h.mean(1)).squeeze(1)


class Mlp(nn.Module):
    """The network of engine_benchmark; here for its two precisions."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(784, 512), nn.SiLU(), nn.Linear(512, 512), nn.SiLU(), nn.Linear(512, 1))

    def forward(self, x):
        return self.layers(x).squeeze(1)


# By name: how to make it, one state's shape, rows.
ARCHITECTURES = {
    "mnist_conv": (ConvEnergy, (1, 28, 28), 64),
    "wrn_28_2": (WideResNet, (3, 32, 32), 16),
    "transformer": (Transformer, (64, 16), 16),
}
# Not compared with PyTorch: of each precision.
PRECISIONS = {"mlp": "FLOAT32", "mlp_bf16": "BF16"}


def module(make):
    torch.manual_seed(1)
    return make().eval().requires_grad_(False)


def export(folder):
    models = dict(ARCHITECTURES, **{name: (Mlp, (784,), 64) for name in PRECISIONS})
    for name, (make, shape, rows) in models.items():
        version = folder / name / "1"
        version.mkdir(parents=True)
        torch.onnx.export(module(make), torch.zeros(2, *shape), str(version / "model.onnx"),
                          input_names=["x"], output_names=["energy"], opset_version=17,
                          dynamic_axes={"x": {0: "N"}, "energy": {0: "N"}})
        (folder / name / "config.pbtxt").write_text(
            f'family: GRAPH\ninput {{ name: "x" shape: {list(shape)} }}\n'
            f"initial {{ normal {{ stddev: 1 }} }}\nlimits {{ max_tile_rows: {rows} }}\n"
            f'precision: {PRECISIONS.get(name, "FLOAT32")}\n')


def rate(model, x):
    """Rows a second of one energy and gradient."""
    def evaluate():
        x.requires_grad_(True)
        energy = model(x)
        torch.autograd.grad(energy.sum(), x)

    start, count = time.perf_counter(), 0
    while count < 2 or time.perf_counter() - start < SECONDS:    # warms up
        evaluate()
        count += 1
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        for _ in range(count):
            evaluate()
        seconds.append((time.perf_counter() - start) / count)
    return len(x) / statistics.median(seconds)


def time_all():
    for name, (make, shape, rows) in ARCHITECTURES.items():
        model, x = module(make), torch.randn(rows, *shape)
        rates = [rate(model, x)]
        if len(shape) == 3:
            model = model.to(memory_format=torch.channels_last)
            rates.append(rate(model, x.to(memory_format=torch.channels_last)))
        print(f"{name}_rows_per_second\t{max(rates):.9g}")
    print(f"pytorch_version\t{torch.__version__}")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "export":
        export(pathlib.Path(sys.argv[2]))
    elif len(sys.argv) in (2, 3) and sys.argv[1] == "time":
        torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) == 3 else 2)
        time_all()
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
