"""Small networks that together use every operator the server has to differentiate.

ARCHITECTURES maps a name to (constructor, shape of one input row, ONNX opset).
Every module returns energies [N], except `small_classifier`, which returns logits [N, 5].
"""

import torch
from torch import nn
from torch.nn import functional


class Energy(nn.Module):
    """Layers that end in one number per row, squeezed to [N]."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x).squeeze(1)


def mlp_silu():
    return Energy(nn.Linear(20, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1))


def conv_variants():
    """Groups, dilation, a rectangular kernel, different strides and pads per axis, no bias."""
    return Energy(
        nn.Conv2d(2, 8, (3, 5), stride=(2, 1), padding=(1, 2)), nn.SiLU(),
        nn.Conv2d(8, 8, 3, groups=4, dilation=2, padding=2, bias=False), nn.Tanh(),
        nn.Conv2d(8, 8, 3, stride=(1, 2), padding=(0, 1), groups=8), nn.SiLU(),
        nn.Flatten(), nn.Linear(8 * 4 * 5, 1))


class ResidualBatchNorm(nn.Module):
    """A residual block with batch normalisation in inference mode, globally averaged."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.block = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.short_cut = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 1)
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.running_mean, std=0.3)
                nn.init.uniform_(layer.running_var, 0.5, 2.0)
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, std=0.3)

    def forward(self, x):
        hidden = functional.relu(self.stem(x))
        hidden = functional.relu(self.block(hidden) + self.short_cut(hidden))
        pooled = functional.adaptive_avg_pool2d(hidden, 1)
        return self.head(pooled.flatten(1)).squeeze(1)


def layer_norm():
    """Layer normalisation; its affine part is not the identity."""
    norms = nn.LayerNorm(24), nn.LayerNorm(16, eps=1e-3)
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
    return Energy(nn.Linear(12, 24), norms[0], nn.SiLU(),
                  nn.Linear(24, 16), norms[1], nn.Tanh(), nn.Linear(16, 1))


def pooling():
    """Overlapping and padded pools; the padding does not count in the mean."""
    return Energy(
        nn.Conv2d(1, 6, 3), nn.SiLU(), nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(6, 6, 3, padding=1), nn.SiLU(),
        nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        nn.Conv2d(6, 6, 1), nn.SiLU(), nn.AvgPool2d(2, stride=1, count_include_pad=False),
        nn.Flatten(), nn.Linear(6 * 3 * 3, 1))


class SoftmaxHeads(nn.Module):
    """A softmax mixture of linear terms plus one entry of a log-softmax."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(10, 6)
        self.terms = nn.Linear(10, 6)
        self.classes = nn.Linear(10, 4)

    def forward(self, x):
        mixed = (torch.softmax(2.0 * self.gate(x), 1) * self.terms(x)).sum(1)
        return mixed - torch.log_softmax(self.classes(x), 1)[:, 2]


def activations():
    """Softplus, ELU, leaky ReLU, ReLU, GELU by erf, tanh and sigmoid in a row."""
    return Energy(
        nn.Linear(8, 16), nn.Softplus(), nn.Linear(16, 16), nn.ELU(0.7),
        nn.Linear(16, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16), nn.GELU(),
        nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(),
        nn.Linear(16, 16), nn.Sigmoid(), nn.Linear(16, 1))


class Elementwise(nn.Module):
    """Exp, Log, Sqrt, Abs, Pow, Neg, Div and Clip on [N, 9]."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(9) + 0.5)

    def forward(self, x):
        wave = torch.exp(-x.abs()) / (1.0 + x.pow(2.0))
        clipped = torch.clamp(x * self.scale, -0.8, 0.6)
        root = torch.sqrt(0.5 + x * x) - torch.log(1.5 + x.abs().pow(3.0))
        return (wave + clipped * x + root / self.scale).sum(1)


class TensorOps(nn.Module):
    """Concat, Slice, Transpose, Gather, Reshape, Squeeze and Unsqueeze on [N, 4, 6]."""

    def __init__(self):
        super().__init__()
        self.register_buffer("picks", torch.tensor([3, 0, 0, 5]))
        self.mix = nn.Linear(4, 5)
        self.head = nn.Linear(39, 1)

    def forward(self, x):
        left, right = x[:, :, 1:5:2], x[:, 1:3, -3:]
        turned = self.mix(x.transpose(1, 2)[:, :5])              # [N, 5, 5]
        gathered = torch.index_select(x, 2, self.picks)[:, 0]    # [N, 4], a repeated index
        row = x.unsqueeze(1).permute(0, 2, 3, 1).squeeze(3)[:, 3]
        parts = [left.reshape(x.shape[0], -1) * 0.5, right.flatten(1)[:, :2],
                 turned.reshape(-1, 25), gathered]
        return self.head(torch.tanh(torch.cat(parts, 1))).squeeze(1) + (row * row).sum(1)


class Reductions(nn.Module):
    """ReduceSum, ReduceMean, ReduceMax and ReduceLogSumExp over different axes of [N, 3, 5]."""

    def forward(self, x):
        peak = x.amax(2)
        smooth = torch.logsumexp(4.0 * x, 1)
        centred = x - x.mean(2, keepdim=True)
        return peak.sum(1) + smooth.mean(1) + (centred * centred).sum((1, 2))


class QuadraticForm(nn.Module):
    """Batched and broadcast MatMul: (x - m)^T A (x - m) summed over three centres."""

    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(3, 1, 7))
        self.factor = nn.Parameter(torch.randn(3, 7, 4) / 3)

    def forward(self, x):
        projected = torch.matmul(x.unsqueeze(0) - self.centres, self.factor)
        return projected.pow(2.0).sum((0, 2)) - torch.matmul(x, self.centres[0, 0])


def small_classifier():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(6 * 4 * 4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 5))


ARCHITECTURES = {
    "mlp_silu": (mlp_silu, (20,), 13),
    "conv_variants": (conv_variants, (2, 12, 9), 13),
    "residual_batch_norm": (ResidualBatchNorm, (3, 8, 8), 13),
    "layer_norm_decomposed": (layer_norm, (12,), 13),
    "layer_norm_fused": (layer_norm, (12,), 17),
    "pooling": (pooling, (1, 17, 17), 13),
    "softmax_heads": (SoftmaxHeads, (10,), 13),
    "activations": (activations, (8,), 13),
    "elementwise": (Elementwise, (9,), 15),
    "tensor_ops": (TensorOps, (4, 6), 13),
    "reductions": (Reductions, (3, 5), 14),
    "quadratic_form": (QuadraticForm, (7,), 13),
    "small_classifier": (small_classifier, (1, 8, 8), 13),
}
