"""The networks of the demo models, as PyTorch modules."""

import math

import torch
from torch import nn


class ConvEnergy(nn.Module):
    """Convolutional energy of 1x28x28 images in [0, 1]; returns E(x) with shape [N]."""

    def __init__(self, width=16):
        super().__init__()
        w = width
        self.features = nn.Sequential(
            nn.Conv2d(1, w, 5, stride=2, padding=4), nn.SiLU(),           # 16x16
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1), nn.SiLU(),       # 8x8
            nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1), nn.SiLU(),   # 4x4
            nn.Conv2d(4 * w, 4 * w, 3, stride=2, padding=1), nn.SiLU(),   # 2x2
        )
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * w, 4 * w), nn.SiLU(), nn.Linear(4 * w, 1))

    def forward(self, x):
        return self.head(self.features(2.0 * x - 1.0)).squeeze(1)


class DigitClassifier(nn.Module):
    """A small plain CNN; returns logits [N, 10], read as E(x) = -logsumexp(logits)."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),    # 14x14
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),   # 7x7
            nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        return self.layers(x)


class Mixture2d(nn.Module):
    """E(x) = -log sum_k w_k N(x; mu_k, Sigma_k) of a normalised 2-D Gaussian mixture (ln Z = 0).

    With A_k the inverse of the Cholesky factor of Sigma_k, component k contributes
    log w_k - log(2 pi) + log det A_k - |A_k (x - mu_k)|^2 / 2.
    """

    def __init__(self, weights, means, covariances):
        super().__init__()
        weights, means, covariances = (
            torch.tensor(v, dtype=torch.float64) for v in (weights, means, covariances))
        whiten = torch.linalg.inv(torch.linalg.cholesky(covariances))
        log_det = torch.log(torch.diagonal(whiten, dim1=1, dim2=2)).sum(1)
        self.register_buffer("means", means[:, None])                    # [K, 1, 2]
        self.register_buffer("whiten", whiten.transpose(1, 2).contiguous())  # [K, 2, 2]
        self.register_buffer("offsets", torch.log(weights) - math.log(2 * math.pi) + log_det)

    def forward(self, x):
        scaled = torch.matmul(x.unsqueeze(0) - self.means, self.whiten)  # [K, N, 2]
        log_density = self.offsets.unsqueeze(1) - 0.5 * (scaled * scaled).sum(2)
        return -torch.logsumexp(log_density, 0)
