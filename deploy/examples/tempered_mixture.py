#!/usr/bin/env python3
"""Far modes: ordinary chains stay where they start, tempered ones do not.

    python3 deploy/examples/tempered_mixture.py PICTURE.png [BIN_FOLDER]
        [--steps N]

Needs the programs in build/bin (or BIN_FOLDER), NumPy and Matplotlib. The
model is a mixture of eight Gaussians on a ring, 23 standard deviations from
one to the next, of unequal weights; every chain starts in the lightest.
"""

import pathlib
import tempfile

import matplotlib
import numpy as np

import demo_server

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

WEIGHTS = np.array([1, 2, 3, 4, 5, 6, 7, 8]) / 36
ANGLES = 2 * np.pi * np.arange(8) / 8
MEANS = 6 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
VARIANCE = 0.04
CHAINS, WARMUP, KEEP = 32, 2000, 20


def write_model(root):
    folder = pathlib.Path(root) / "far_modes"
    (folder / "1").mkdir(parents=True)
    components = "\n".join(
        f"  component {{ weight: {w} mean: [{m[0]}, {m[1]}] "
        f"covariance: {VARIANCE} }}" for w, m in zip(WEIGHTS, MEANS))
    (folder / "config.pbtxt").write_text(
        "family: MIXTURE\n"
        f"mixture {{\n{components}\n}}\n"
        "defaults { steps: 1000 transition { mala { step_size: 0.02 } } }\n")


def shares(states):
    """The share of states nearest to each mean."""
    distance = ((states[:, None, :] - MEANS) ** 2).sum(-1)
    return np.bincount(distance.argmin(1), minlength=8) / len(states)


def draw(axis, states, title):
    axis.set_title(title, fontsize=10)
    grid = np.linspace(-8.5, 8.5, 400)
    x, y = np.meshgrid(grid, grid)
    square = ((np.stack([x, y], -1)[:, :, None] - MEANS) ** 2).sum(-1)
    density = (WEIGHTS * np.exp(-square / (2 * VARIANCE))).sum(-1)
    axis.contour(x, y, np.log(density + 1e-300), levels=[-12, -6], linewidths=0.6,
                 colors="0.6")
    axis.plot(*states.T, ".", markersize=1.5, alpha=0.5, color="tab:blue")
    axis.plot(*MEANS[0], "x", color="tab:red", markersize=8)
    axis.set(xlim=(-8.5, 8.5), ylim=(-8.5, 8.5), aspect="equal", xticks=[],
             yticks=[])


def main():
    args = demo_server.arguments(__doc__, steps=4000)
    draws = {}
    with tempfile.TemporaryDirectory() as models:
        write_model(models)
        with demo_server.serve(models, args.bin_folder) as demo:
            start = demo.folder / "start.npy"
            np.save(start, MEANS[:1].astype(np.float32))
            for name, options in {
                    "ordinary": [],
                    "tempered": ["--tempering", "10,0.002"]}.items():
                out = demo.folder / f"{name}.npy"
                demo.basin("sample", "far_modes", "--init", start, "--chains",
                           CHAINS, "--warmup", WARMUP, "--steps", args.steps,
                           "--keep_every", KEEP, "--adapt", "--seed", 1,
                           *options, "--out", out)
                draws[name] = np.load(out).reshape(-1, 2)
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.4))
    draw(axes[0], draws["ordinary"], "MALA")
    draw(axes[1], draws["tempered"], "MALA, 10 temperatures")
    axes[2].set_title("share of each mode", fontsize=10)
    places = np.arange(8)
    axes[2].bar(places - 0.28, WEIGHTS, 0.28, color="0.6", label="exact")
    axes[2].bar(places, shares(draws["tempered"]), 0.28, color="tab:blue",
                label="tempered")
    axes[2].bar(places + 0.28, shares(draws["ordinary"]), 0.28,
                color="tab:red", label="ordinary")
    axes[2].set(ylim=(0, 0.35), xticks=places)
    axes[2].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(args.picture, dpi=100)
    for name, states in draws.items():
        print(f"{name:10}", np.round(shares(states), 3))
    print(f"{'exact':10}", np.round(WEIGHTS, 3))


if __name__ == "__main__":
    main()
