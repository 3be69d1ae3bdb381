"""Energies of sequences, and transformers with context, as people write them in PyTorch.

Every module maps states [N, ...], with context where it says so, to energies [N].
"""

import math

import torch
from torch import nn
from torch.nn import functional

from zoo_vectors import Energy


def conv1d_sequence():
    """1-D convolutions with stride, dilation, groups, pools and a transposed one: [N, 4, 40]."""
    return Energy(
        nn.Conv1d(4, 16, 5, padding=2), nn.SiLU(), nn.MaxPool1d(2),
        nn.Conv1d(16, 16, 3, dilation=4, padding=4, groups=2), nn.SiLU(),
        nn.Conv1d(16, 24, 4, stride=2), nn.BatchNorm1d(24), nn.SiLU(),
        nn.AvgPool1d(3, stride=2, padding=1), nn.ConvTranspose1d(24, 8, 3, stride=2), nn.SiLU(),
        nn.Upsample(scale_factor=2, mode="linear", align_corners=False),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 1))


class Recurrent(nn.Module):
    """A recurrent network over [N, T, F]; an energy from its outputs and last state."""

    def __init__(self, kind, **options):
        super().__init__()
        self.cells = kind(5, 12, batch_first=True, **options)
        directions = 2 if options.get("bidirectional") else 1
        self.head = nn.Linear(12 * directions, 1)
        self.last = nn.Linear(12, 1)

    def forward(self, x):
        outputs, state = self.cells(x)
        state = state[0] if isinstance(state, tuple) else state
        return self.head(torch.tanh(outputs)).sum((1, 2)) + self.last(state[-1]).squeeze(1)


class LastState(nn.Module):
    """A GRU over [N, T] read as scalars, started from a learned state."""

    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, 1, 10))
        self.cells = nn.GRU(1, 10)
        self.head = nn.Linear(10, 1)

    def forward(self, x):
        steps = x.t().unsqueeze(2)
        outputs, _ = self.cells(steps, self.start.expand(-1, x.shape[0], -1).contiguous())
        return self.head(outputs[-1]).squeeze(1)


class ScriptedLoop(nn.Module):
    """A loop with a branch, kept as Loop and If by torch.jit.script."""

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(8, 8)
        self.last = 5

    def forward(self, x):
        hidden, energy = x, torch.zeros_like(x[:, 0])
        for t in range(x.size(1)):
            hidden = torch.tanh(self.cell(hidden) + x[:, t].unsqueeze(1))
            if t % 2 == 0:
                energy = energy + hidden.sum(1)
            elif t == self.last:
                energy = energy - 2.0 * hidden[:, t] * x[:, 0]
            else:
                energy = energy + hidden.pow(2).sum(1)
        return energy


class TransformerEncoder(nn.Module):
    """torch.nn.TransformerEncoder with fixed sinusoidal positions, averaged over time."""

    def __init__(self, width=24, length=10):
        super().__init__()
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(100.0) / width))
        angle = torch.arange(length).unsqueeze(1) * rate
        self.register_buffer("position", torch.cat([angle.sin(), angle.cos()], dim=1))
        layer = nn.TransformerEncoderLayer(width, 4, 48, dropout=0.0, activation="gelu",
                                           batch_first=True)
        self.embed = nn.Linear(6, width)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        hidden = self.encoder(self.embed(x) + self.position)
        return self.head(hidden.mean(dim=1)).squeeze(-1)


class EinsumAttention(nn.Module):
    """Attention written in einsum, with relative position scores."""

    def __init__(self, width=16, heads=4, length=8):
        super().__init__()
        self.projections = nn.Parameter(torch.randn(3, width, heads, width // heads) / 4)
        self.relative = nn.Parameter(torch.randn(heads, length, length))
        self.out = nn.Parameter(torch.randn(heads, width // heads, width) / 4)

    def forward(self, x):                                   # [N, 8, 16]
        query, key, value = torch.einsum("ntd,cdhk->cnhtk", x, self.projections).unbind(0)
        scores = torch.einsum("bhik,bhjk->bhij", query, key) / 2 + self.relative
        mixed = torch.einsum("bhij,bhjk->bihk", scores.softmax(-1), value)
        update = torch.einsum("bihk,hkd->bid", mixed, self.out)
        return 0.5 * torch.einsum("btd,btd->b", x + update, x)


class CausalAttention(nn.Module):
    """Attention under a causal mask, from one projection of query, key and value."""

    def __init__(self, width, heads, length):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.register_buffer("mask", torch.tril(torch.ones(length, length)).bool())

    def forward(self, x):
        rows, length, width = x.shape
        query, key, value = (
            part.view(rows, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.project(x).chunk(3, dim=-1))
        scores = query @ key.transpose(-2, -1) / math.sqrt(width // self.heads)
        scores = scores.masked_fill(~self.mask[:length, :length], float("-inf"))
        mixed = torch.softmax(scores, dim=-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(rows, length, width))


class DecoderBlock(nn.Module):
    def __init__(self, width, heads, length):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = CausalAttention(width, heads, length)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"),
                                 nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norms[0](x))
        return x + self.mlp(self.norms[1](x))


class EnergyTransformer(nn.Module):
    """An energy-based transformer: E(prediction | context tokens), lower = better.

    The state x [N, 32] is the embedding of a candidate for the next token; the context is int64
    [N, T]. The energy is read at the candidate's place, behind the context.
    """

    def __init__(self, vocabulary=50, width=32, length=12):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(0.3 * torch.randn(length + 1, width))
        self.blocks = nn.ModuleList([DecoderBlock(width, 4, length + 1) for _ in range(3)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)

    def forward(self, x, tokens):
        hidden = torch.cat([self.tokens(tokens), x.unsqueeze(1)], dim=1) + self.position
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.norm(hidden[:, -1])).squeeze(-1) + 0.01 * x.square().sum(-1)


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class RotaryDecoder(nn.Module):
    """A block in the style of LLaMA: RMS norm, rotary positions, grouped keys, SwiGLU."""

    def __init__(self, width=24, heads=4, length=9):
        super().__init__()
        self.heads, size = heads, width // heads
        angle = torch.arange(length).unsqueeze(1) * 10000 ** (-torch.arange(0, size, 2) / size)
        self.register_buffer("cosine", torch.cat([angle, angle], dim=1).cos())
        self.register_buffer("sine", torch.cat([angle, angle], dim=1).sin())
        self.register_buffer("mask", torch.full((length, length), float("-inf")).triu(1))
        self.norms = nn.ModuleList([RmsNorm(width) for _ in range(3)])
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, 2 * width, bias=False)
        self.up = nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)
        self.head = nn.Linear(width, 1)

    def rotate(self, x):
        left, right = x.chunk(2, dim=-1)
        return x * self.cosine + torch.cat((-right, left), dim=-1) * self.sine

    def attend(self, x):
        rows, length, width = x.shape
        query = self.query(x).view(rows, length, self.heads, -1).transpose(1, 2)
        pairs = self.key_value(x).view(rows, length, 2, self.heads // 2, -1)
        key, value = pairs.permute(2, 0, 3, 1, 4).repeat_interleave(2, dim=2).unbind(0)
        scores = self.rotate(query) @ self.rotate(key).transpose(2, 3) / math.sqrt(width)
        mixed = functional.softmax(scores + self.mask, dim=-1) @ value
        return self.out(mixed.transpose(1, 2).flatten(2))

    def forward(self, x):                                   # [N, 9, 24]
        x = x + self.attend(self.norms[0](x))
        normed = self.norms[1](x)
        x = x + self.down(functional.silu(self.gate(normed)) * self.up(normed))
        return self.head(self.norms[2](x)).sum((1, 2))


class LabelledEnergy(nn.Module):
    """A conditional energy E(x | label): an embedding by label, and a one-hot of it."""

    def __init__(self, classes=7):
        super().__init__()
        self.classes = classes
        self.embed = nn.Embedding(classes, 12)
        self.first = nn.Linear(8, 12)
        self.head = nn.Linear(12, classes)

    def forward(self, x, label):
        hidden = functional.silu(self.first(x) * self.embed(label) + self.embed(label))
        one_hot = functional.one_hot(label, self.classes).to(x.dtype)
        return (self.head(hidden) * one_hot).sum(1) + 0.5 * x.square().sum(1)


class InpaintingEnergy(nn.Module):
    """An energy of an image given an observed one and a mask of what was observed."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(),
                                 nn.Conv2d(8, 8, 3, stride=2), nn.SiLU(),
                                 nn.Flatten(), nn.Linear(8 * 9, 1))

    def forward(self, x, observed, mask):
        mixed = torch.where(mask, observed, x)
        planes = torch.cat([mixed, observed, mask.to(x.dtype)], dim=1)
        return self.net(planes).squeeze(1) + (mixed - x).square().sum((1, 2, 3))
