#!/usr/bin/env python3
"""Half of a digit is clamped, mnist_ebm fills in the other half.

    python3 deploy/examples/inpainting.py PICTURE.png [BIN_FOLDER]
        [--steps N]

Needs the programs in build/bin (or BIN_FOLDER), NumPy and Matplotlib. Chains
run the model's own recipe, a noisy descent at a low temperature: likely
completions, not samples at temperature 1. --clamp_mask works the same with
every transition.
"""

import matplotlib
import numpy as np

import demo_server

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

DIGITS, COMPLETIONS = 10, 6
CLAMPED = np.s_[:, :14, :]  # the upper half


def shade(image, mask):
    """Grey for what is drawn, blue for what was given."""
    colours = np.repeat(image[:, :, None], 3, axis=2)
    colours[mask] = colours[mask] * 0.75 + np.array([0.0, 0.09, 0.25])
    return colours


def main():
    args = demo_server.arguments(__doc__, steps=1000)
    root = demo_server.ROOT
    images = np.load(root / "deploy/data/mnist_test_1000.npy")
    digits = images[:DIGITS]
    mask = np.zeros(digits.shape[1:], bool)
    mask[CLAMPED] = True
    with demo_server.serve(root / "deploy/models", args.bin_folder) as demo:
        np.save(demo.folder / "mask.npy", mask)
        np.save(demo.folder / "values.npy", np.repeat(digits, COMPLETIONS, 0))
        demo.basin("sample", "mnist_ebm", "--init", "noise",
                   "--clamp_mask", demo.folder / "mask.npy",
                   "--clamp_values", demo.folder / "values.npy",
                   "--chains", DIGITS * COMPLETIONS, "--seed", 3,
                   "--steps", args.steps, "--out", demo.folder / "filled.npy")
        filled = np.load(demo.folder / "filled.npy")
    filled = filled.reshape(DIGITS, COMPLETIONS, 28, 28)
    given = digits[:, 0] / 255.0
    assert np.allclose(filled[:, :, mask[0]], given[:, None, mask[0]])

    figure, axes = plt.subplots(COMPLETIONS + 2, DIGITS,
                                figsize=(DIGITS, COMPLETIONS + 2))
    for column in range(DIGITS):
        only = np.where(mask[0], given[column], 0.5)
        pictures = [shade(given[column], np.zeros_like(mask[0])),
                    shade(only, mask[0])]
        pictures += [shade(image, mask[0]) for image in filled[column]]
        for axis, picture in zip(axes[:, column], pictures):
            axis.imshow(picture, vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    for row, title in enumerate(["digit", "given"] + ["filled in"]):
        axes[row, 0].set_ylabel(title, fontsize=9)
    figure.tight_layout(pad=0.3)
    figure.savefig(args.picture, dpi=75)


if __name__ == "__main__":
    main()
