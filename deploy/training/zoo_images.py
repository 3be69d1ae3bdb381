"""Energies of images, as people write them in PyTorch.

Every module maps images [N, C, H, W] to energies [N], or to logits [N, K] where it says so.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import spectral_norm

from zoo_vectors import Energy


class IgebmBlock(nn.Module):
    """A residual block of Du & Mordatch (2019): spectral norm, leaky ReLU, no other norm."""

    def __init__(self, width, out, downsample):
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(width, out, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(out, out, 3, padding=1))
        self.short_cut = spectral_norm(nn.Conv2d(width, out, 1)) if width != out else nn.Identity()
        self.pool = nn.AvgPool2d(2) if downsample else nn.Identity()

    def forward(self, x):
        hidden = functional.leaky_relu(self.first(x), 0.2)
        hidden = functional.leaky_relu(self.second(hidden), 0.2)
        return self.pool(hidden + self.short_cut(x))


class Igebm(nn.Module):
    """The network of Du & Mordatch (2019) for CIFAR-10: 5.1 million weights at their width, 128."""

    def __init__(self, width=128):
        super().__init__()
        w = width
        self.stem = spectral_norm(nn.Conv2d(3, w, 3, padding=1))
        self.blocks = nn.Sequential(
            IgebmBlock(w, w, True), IgebmBlock(w, w, False),
            IgebmBlock(w, 2 * w, True), IgebmBlock(2 * w, 2 * w, False),
            IgebmBlock(2 * w, 2 * w, True), IgebmBlock(2 * w, 2 * w, False))
        self.head = nn.Linear(2 * w, 1)

    def forward(self, x):
        hidden = functional.leaky_relu(self.stem(x), 0.2)
        hidden = functional.relu(self.blocks(hidden))
        return self.head(hidden.sum(dim=(2, 3))).squeeze(1)


class WideBlock(nn.Module):
    """A wide residual block without normalisation, as in JEM."""

    def __init__(self, width, out, stride):
        super().__init__()
        self.first = nn.Conv2d(width, out, 3, padding=1)
        self.second = nn.Conv2d(out, out, 3, stride=stride, padding=1)
        self.short_cut = nn.Sequential()
        if width != out or stride != 1:
            self.short_cut = nn.Sequential(nn.Conv2d(width, out, 1, stride=stride))

    def forward(self, x):
        hidden = self.first(functional.leaky_relu(x, 0.2))
        return self.second(functional.leaky_relu(hidden, 0.2)) + self.short_cut(x)


class WideResNet(nn.Module):
    """WRN-28-2 without norm (Grathwohl et al. 2020), 1.5 million weights; logits [N, 10]."""

    def __init__(self, depth=28, widen=2, base=16):
        super().__init__()
        widths = [base, base * widen, 2 * base * widen, 4 * base * widen]
        layers = [nn.Conv2d(3, base, 3, padding=1)]
        for stage in range(3):
            for block in range((depth - 4) // 6):
                layers.append(WideBlock(widths[stage] if block == 0 else widths[stage + 1],
                                        widths[stage + 1], 2 if block == 0 and stage > 0 else 1))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(widths[3], 10)

    def forward(self, x):
        hidden = functional.leaky_relu(self.layers(x), 0.2)
        hidden = functional.avg_pool2d(hidden, 8)
        return self.head(hidden.view(hidden.size(0), -1))


def conv_block(width, out):
    return nn.Sequential(nn.Conv2d(width, out, 3, padding=1), nn.SiLU(),
                         nn.Conv2d(out, out, 3, padding=1), nn.SiLU())


class UNet(nn.Module):
    """A U-Net whose output field is summed to an energy; one transposed convolution, one resize."""

    def __init__(self, width=8):
        super().__init__()
        w = width
        self.down = nn.ModuleList([conv_block(1, w), conv_block(w, 2 * w)])
        self.middle = conv_block(2 * w, 4 * w)
        self.transposed = nn.ConvTranspose2d(4 * w, 2 * w, 2, stride=2)
        self.up = nn.ModuleList([conv_block(4 * w, 2 * w), conv_block(3 * w, w)])
        self.out = nn.Conv2d(w, 1, 1)

    def forward(self, x):
        fine = self.down[0](x)
        coarse = self.down[1](functional.max_pool2d(fine, 2))
        hidden = self.transposed(self.middle(functional.max_pool2d(coarse, 2)))
        hidden = self.up[0](torch.cat([coarse, hidden], dim=1))
        hidden = functional.interpolate(hidden, scale_factor=2, mode="nearest")
        field = self.out(self.up[1](torch.cat([fine, hidden], dim=1)))
        return 0.5 * ((x - field) ** 2).sum(dim=(1, 2, 3))


class Decoder(nn.Module):
    """Transposed convolutions of several kinds; an image from a latent state [N, 16]."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(16, 12 * 3 * 3)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(12, 8, 3, stride=2, padding=1, output_padding=1), nn.ELU(),
            nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1, groups=2, bias=False), nn.ELU(),
            nn.ConvTranspose2d(8, 1, 3, dilation=2, padding=2))

    def forward(self, x):
        image = torch.sigmoid(self.layers(self.dense(x).view(-1, 12, 3, 3)))
        return 0.5 * x.square().sum(1) + (image - 0.3).square().flatten(1).sum(1)


class Patchwork(nn.Module):
    """Patch convolution and class token for VisionTransformer."""

    def __init__(self, channels, patch, width, patches):
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, stride=patch)
        self.token = nn.Parameter(0.5 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.5 * torch.randn(1, patches + 1, width))

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        token = self.token.expand(x.shape[0], -1, -1)
        return torch.cat([token, tokens], dim=1) + self.position


class VitBlock(nn.Module):
    """Pre-norm block with the attention that PyTorch ships."""

    def __init__(self, width, heads):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(),
                                 nn.Linear(2 * width, width))

    def forward(self, x):
        normed = self.norms[0](x)
        x = x + self.attention(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp(self.norms[1](x))


class VisionTransformer(nn.Module):
    """A ViT classifier of 3x32x32 images in 8x8 patches; logits [N, 10]."""

    def __init__(self, width=48, depth=3):
        super().__init__()
        self.patches = Patchwork(3, 8, width, 16)
        self.blocks = nn.Sequential(*[VitBlock(width, 4) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.patches(x)))[:, 0])


def norms_cnn():
    """Group, instance and local response normalisation, channel dropout."""
    return Energy(
        nn.InstanceNorm2d(2), nn.Conv2d(2, 12, 3, padding=1), nn.GroupNorm(4, 12), nn.SiLU(),
        nn.Conv2d(12, 12, 3, stride=2), nn.InstanceNorm2d(12, affine=True), nn.SiLU(),
        nn.Conv2d(12, 12, 3), nn.LocalResponseNorm(5), nn.SiLU(), nn.Dropout2d(0.2),
        nn.Conv2d(12, 12, 1), nn.GroupNorm(1, 12),
        nn.Tanh(), nn.Flatten(), nn.Linear(12 * 16, 1))


class ChannelShuffle(nn.Module):
    """Mixes the channels of two groups, as ShuffleNet does."""

    def forward(self, x):
        rows, channels, height, width = x.size()
        split = x.view(rows, 2, channels // 2, height, width)
        return split.transpose(1, 2).contiguous().view(rows, channels, height, width)


def pixel_shuffle_cnn():
    return Energy(
        nn.PixelUnshuffle(2), nn.Conv2d(4, 16, 3, padding=1), nn.SiLU(), nn.PixelShuffle(2),
        nn.Conv2d(4, 4, 3, groups=2), ChannelShuffle(), nn.Conv2d(4, 4, 1, groups=2), nn.SiLU(),
        nn.Flatten(), nn.Linear(4 * 36, 1))


class Upsamplers(nn.Module):
    """Every interpolation of images, to factors and to sizes."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(2, 4, 3) for _ in range(5)])

    def forward(self, x):                                   # [N, 2, 7, 6]
        scaled = (
            functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
            functional.interpolate(x, size=(11, 13), mode="bilinear", align_corners=True),
            functional.interpolate(x, scale_factor=1.5, mode="nearest"),
            functional.interpolate(x, size=(10, 9), mode="bicubic", align_corners=False),
            functional.interpolate(x, size=(4, 5), mode="bilinear", align_corners=False))
        return sum(functional.silu(conv(image)).mean(dim=(1, 2, 3)).exp()
                   for conv, image in zip(self.convs, scaled))


class Paddings(nn.Module):
    """Modes of padding around convolutions, and a crop by negative padding."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([
            nn.Conv2d(1, 4, 3, padding=2),
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
            nn.Conv2d(4, 4, 3, padding=(0, 2), padding_mode="replicate"),
            nn.Conv2d(4, 1, 2)])

    def forward(self, x):
        hidden = functional.pad(x, (1, 0, 2, -1), value=0.3)
        for conv in self.convs:
            hidden = torch.tanh(conv(hidden))
        return hidden.flatten(1).sum(1)


def circular_padding():
    return Energy(
        nn.Conv2d(1, 4, 3, padding=2, padding_mode="circular"), nn.SiLU(),
        nn.Conv2d(4, 4, 3, padding=(0, 1), padding_mode="circular"), nn.SiLU(),
        nn.Flatten(), nn.Linear(4 * 6 * 8, 1))


class AdaptivePools(nn.Module):
    """Adaptive, Lp, ceiling-mode and global pools."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.head = nn.Linear(6 * (9 + 4 + 1 + 36 + 1), 1)

    def forward(self, x):                                   # [N, 3, 12, 12]
        hidden = functional.softplus(self.conv(x))
        pools = (
            functional.adaptive_avg_pool2d(hidden, (3, 3)),
            functional.adaptive_max_pool2d(hidden, 2),
            functional.adaptive_avg_pool2d(hidden, 1),
            functional.max_pool2d(hidden, 3, stride=2, ceil_mode=True),
            hidden.amax(dim=(2, 3), keepdim=True))
        return self.head(torch.cat([p.flatten(1) for p in pools], dim=1)).squeeze(1)


class ChannelsLast(nn.Module):
    """Dense layers over the last axis, as Keras has it, around permuted convolutions."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(3, 8)
        self.conv = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.head = nn.Linear(8, 1)

    def forward(self, x):                                   # [N, H, W, 3]
        hidden = self.dense(x).permute(0, 3, 1, 2)
        hidden = self.conv(hidden).permute(0, 2, 3, 1)
        return self.head(functional.gelu(self.norm(hidden)).mean(dim=(1, 2))).squeeze(-1)


class SqueezeExcite(nn.Module):
    """Batch norm, depthwise convolutions, gates and Hardswish, as in mobile networks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2, padding=1, bias=False),
                                  nn.BatchNorm2d(12), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(12, 12, 5, padding=2, groups=12, bias=False),
                                       nn.BatchNorm2d(12), nn.ReLU6())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 4, 1), nn.ReLU(),
                                  nn.Conv2d(4, 12, 1), nn.Hardsigmoid())
        self.head = nn.Linear(12, 1)

    def forward(self, x):
        hidden = self.depthwise(self.stem(x))
        return self.head((hidden * self.gate(hidden)).mean([-2, -1])).squeeze(1)


def video():
    """3-D convolutions and pools on [N, 1, 6, 8, 8]."""
    return Energy(
        nn.Conv3d(1, 6, 3, padding=1), nn.SiLU(), nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(6, 8, (3, 3, 3), stride=(2, 1, 1), padding=(1, 0, 0)), nn.SiLU(),
        nn.AvgPool3d((3, 2, 2)), nn.Flatten(), nn.Linear(8, 1))
