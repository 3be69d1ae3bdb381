"""Energies of vectors, point sets and lattices, as people write them in PyTorch.

Every module maps states [N, ...] to energies [N].
"""

import math

import torch
from torch import nn
from torch.nn import functional


class Energy(nn.Module):
    """Layers that end in one number per row, squeezed to [N]."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x).squeeze(-1)


def mlp():
    return Energy(nn.Linear(20, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))


def mlp_activations():
    """The activations that are less common, one after another."""
    activations = (
        nn.SELU(), nn.Mish(), nn.Hardswish(), nn.CELU(0.8), nn.PReLU(12), nn.GELU(),
        nn.GELU(approximate="tanh"), nn.Softsign(), nn.Hardsigmoid(), nn.Hardtanh(-0.7, 0.9),
        nn.ReLU6(), nn.Softshrink(0.2), nn.Hardshrink(0.1), nn.LogSigmoid(), nn.Tanhshrink(),
        nn.Softplus(beta=2.0), nn.GLU())
    layers = []
    for activation in activations:
        layers += [nn.Linear(12, 24 if isinstance(activation, nn.GLU) else 12), activation,
                   nn.LayerNorm(12)]
    return Energy(nn.Linear(9, 12), *layers, nn.Linear(12, 1))


class Siren(nn.Module):
    """Sinusoidal layers (Sitzmann et al. 2020) after Fourier features."""

    def __init__(self):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(3, 8))
        self.layers = nn.ModuleList([nn.Linear(16, 32), nn.Linear(32, 32)])
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        phase = 2 * math.pi * (x @ self.frequencies)
        hidden = torch.cat([torch.sin(phase), torch.cos(phase)], dim=-1)
        for layer in self.layers:
            hidden = torch.sin(3.0 * layer(hidden))
        return self.head(hidden).squeeze(-1)


class TiedAutoencoder(nn.Module):
    """Squared reconstruction error of an autoencoder whose decoder is the encoder transposed."""

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.randn(n, m) / math.sqrt(m)) for m, n in ((24, 16), (16, 6))])
        self.biases = nn.ParameterList([nn.Parameter(0.1 * torch.randn(n)) for n in (16, 6)])
        self.back = nn.ParameterList([nn.Parameter(0.1 * torch.randn(n)) for n in (24, 16)])

    def forward(self, x):
        hidden = x
        for weight, bias in zip(self.weights, self.biases):
            hidden = torch.tanh(functional.linear(hidden, weight, bias))
        for weight, bias in zip(reversed(self.weights), reversed(self.back)):
            hidden = functional.linear(torch.tanh(hidden), weight.t(), bias)
        return (hidden - x).square().sum(1)


class RadialBasis(nn.Module):
    """Squared distances to learned centres, by cdist and by expansion."""

    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(12, 5))
        self.heights = nn.Parameter(torch.randn(12))

    def forward(self, x):
        distance = torch.cdist(x, self.centres)
        near = (x * x).sum(1, keepdim=True) - 2 * x @ self.centres.t()
        near = near + (self.centres * self.centres).sum(1)
        return (self.heights * torch.exp(-0.5 * distance)).sum(1) + near.min(dim=1).values


class GaussianMixture(nn.Module):
    """-log of a mixture of Gaussians with full covariances, and a norm per row."""

    def __init__(self):
        super().__init__()
        self.means = nn.Parameter(2 * torch.randn(7, 4))
        self.factor = nn.Parameter(torch.randn(7, 4, 4) / 2)
        self.weights = nn.Parameter(torch.randn(7))

    def forward(self, x):
        offset = x.unsqueeze(1) - self.means
        white = torch.einsum("nki,kij->nkj", offset, torch.tril(self.factor))
        log_weight = functional.log_softmax(self.weights, dim=0)
        density = torch.logsumexp(log_weight - 0.5 * white.square().sum(-1), dim=1)
        return torch.linalg.norm(x, dim=1) / 4 - density


class FunnelWithMasks(nn.Module):
    """torch.where with comparisons, logic, min, max, floor, sign and round around it."""

    def __init__(self):
        super().__init__()
        self.threshold = nn.Parameter(torch.rand(6))
        self.head = nn.Linear(6, 6)

    def forward(self, x):
        inside = (x > -self.threshold) & (x < self.threshold)
        near = torch.where(inside, x * x, 2 * self.threshold * x.abs() - self.threshold.square())
        far = torch.maximum(near, torch.minimum(self.head(x), torch.zeros_like(x)))
        steps = torch.floor(x) + torch.ceil(2 * x) - torch.round(3 * x) * torch.sign(x)
        odd = ~inside | (x >= 1.5) | (x <= -1.5)
        kept = far.masked_fill(odd, 0.25) + torch.where(x == 0, 1.0, 0.1) * steps * x
        return kept.sum(1) + x.clamp(min=-0.5).prod(1) + torch.nan_to_num(x).sum(1)


class RandomWalkPrior(nn.Module):
    """Sums along a path, differences, and the variance of the steps."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(16) + 0.5)

    def forward(self, x):
        path = torch.cumsum(x * self.scale, dim=1)
        back = torch.flip(torch.cumsum(torch.flip(x, [1]), dim=1), [1])
        steps = path[:, 1:] - path[:, :-1]
        return (path.square().mean(1) + torch.tanh(back).sum(1)
                + steps.var(dim=1) + path.std(dim=1, unbiased=False))


class RobustTop(nn.Module):
    """The largest and smallest terms only: topk, sort, amax, and gathering by index."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(10, 12)

    def forward(self, x):
        terms = self.layer(x).square()
        largest, where = torch.topk(terms, 4, dim=1)
        smallest = torch.topk(terms, 3, dim=1, largest=False).values
        weights = torch.gather(torch.cos(terms), 1, where)
        ordered, _ = torch.sort(x, dim=1, descending=True)
        ranks = torch.arange(10, dtype=x.dtype, device=x.device) / 10
        return (largest * weights).sum(1) - smallest.sum(1) + (ordered * ranks).sum(1)


class RealNvp(nn.Module):
    """-log density of an affine coupling flow."""

    def __init__(self):
        super().__init__()
        self.nets = nn.ModuleList([
            nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 8)) for _ in range(3)])

    def forward(self, x):
        log_det = torch.zeros_like(x[:, 0])
        for net in self.nets:
            held, moved = torch.chunk(x, 2, dim=-1)
            log_scale, shift = net(held).split(4, dim=-1)
            log_scale = 2 * torch.tanh(log_scale)
            x = torch.cat([moved * torch.exp(log_scale) + shift, held], dim=-1)
            log_det = log_det + log_scale.sum(-1)
        return 0.5 * (x ** 2).sum(-1) + 2 * math.log(2 * math.pi) - log_det


class LennardJones(nn.Module):
    """Pairs of particles, taken from the upper triangle: softened Lennard-Jones with a trap."""

    def __init__(self, particles=6):
        super().__init__()
        first, second = torch.triu_indices(particles, particles, offset=1)
        self.register_buffer("first", first)
        self.register_buffer("second", second)

    def forward(self, x):
        offset = x[:, self.first] - x[:, self.second]
        inverse = 1.0 / (0.5 + offset.pow(2).sum(-1)) ** 3
        return 4 * (inverse * inverse - inverse).sum(1) + 0.5 * x.pow(2).sum((1, 2))


class PhiFour(nn.Module):
    """Lattice field theory on a torus: torch.roll and powers."""

    def forward(self, x):
        kinetic = sum((x - torch.roll(x, 1, dims=axis)).pow(2).sum((1, 2)) for axis in (1, 2))
        return 0.5 * kinetic + (-0.6 * x ** 2 + 0.3 * x ** 4).sum((1, 2))


class GraphNetwork(nn.Module):
    """Message passing on a fixed graph: index_select, messages, scatter_add."""

    def __init__(self, nodes=7, features=5):
        super().__init__()
        sources = torch.arange(nodes).repeat(2)
        targets = torch.cat([(torch.arange(nodes) + 1) % nodes, (torch.arange(nodes) + 3) % nodes])
        self.register_buffer("sources", sources)
        self.register_buffer("targets", targets)
        self.embed = nn.Linear(features, 16)
        self.message = nn.Linear(32, 16)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        hidden = torch.tanh(self.embed(x))
        pairs = torch.cat([hidden.index_select(1, self.sources),
                           hidden.index_select(1, self.targets)], dim=2)
        messages = functional.silu(self.message(pairs))
        places = self.targets.view(1, -1, 1).expand(x.shape[0], -1, 16)
        hidden = hidden + torch.zeros_like(hidden).scatter_add(
            1, places, messages.view(-1, 14, 16))
        return self.head(functional.silu(hidden)).sum((1, 2))


class SetEnergy(nn.Module):
    """A point-set energy: shared layers, max and mean over the points, a soft minimum."""

    def __init__(self):
        super().__init__()
        self.point = nn.Sequential(nn.Conv1d(3, 24, 1), nn.LeakyReLU(0.1), nn.Conv1d(24, 24, 1))
        self.head = nn.Linear(48, 1)

    def forward(self, x):                                   # [N, points, 3]
        features = self.point(x.transpose(1, 2))
        pooled = torch.cat([features.amax(dim=2), features.mean(dim=2)], dim=1)
        pairs = (x.unsqueeze(1) - x.unsqueeze(2)).square().sum(-1)
        return self.head(pooled).squeeze(1) - torch.logsumexp(-pairs.flatten(1), dim=1)
