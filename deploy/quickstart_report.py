#!/usr/bin/env python3
"""The quickstart's numbers and picture.

    quickstart_report.py constant FILE.npy   write 256 constant images
    quickstart_report.py report FOLDER       read FOLDER/energies_*.npy, print
                                             the AUROC table, write
                                             FOLDER/energies.png
"""

import argparse
import pathlib

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

NAMES = {"mnist": "MNIST test", "fashion": "Fashion-MNIST test",
         "constant": "constant images"}


def auroc(inside, outside):
    """Probability that an outside image has the higher energy, ties half:
    the Mann-Whitney statistic."""
    ordered = np.sort(inside)
    below = np.searchsorted(ordered, outside, side="left")
    equal = np.searchsorted(ordered, outside, side="right") - below
    return float((below + equal / 2).mean() / len(inside))


def write_constant(path):
    levels = np.arange(256, dtype=np.uint8)
    images = np.empty((256, 1, 28, 28), np.uint8)
    images[:] = levels[:, None, None, None]
    np.save(path, images)


def print_table(energies):
    print(f"{'set':<20} {'images':>6} {'mean energy':>12} {'median':>10} "
          f"{'AUROC against MNIST':>20}")
    for name, values in energies.items():
        score = "" if name == "mnist" else f"{auroc(energies['mnist'], values):.4f}"
        print(f"{NAMES[name]:<20} {len(values):>6} {values.mean():>12.3f} "
              f"{np.median(values):>10.3f} {score:>20}")


def draw_histograms(energies, path):
    everything = np.concatenate(list(energies.values()))
    low, high = np.quantile(everything, [0.002, 0.998])
    # Digits lie within a tenth of 0, other images up to tens above: equal
    # steps of asinh(E / width) show both.
    width = 0.02
    bins = width * np.sinh(np.linspace(np.arcsinh(low / width),
                                       np.arcsinh(high / width), 60))
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, values in energies.items():
        axes.hist(np.clip(values, low, high), bins, alpha=0.6,
                  weights=np.full(len(values), 1 / len(values)),
                  label=f"{NAMES[name]} ({len(values)})")
    axes.set_xscale("asinh", linear_width=width)
    axes.set_xticks([-0.1, 0, 0.1, 1, 10], ["-0.1", "0", "0.1", "1", "10"])
    axes.set_xlabel("energy E(x) by mnist_ebm (lower = more probable)")
    axes.set_ylabel("share of the images")
    axes.legend()
    figure.savefig(path, dpi=120)


def report(folder):
    energies = {name: np.load(folder / f"energies_{name}.npy") for name in NAMES}
    print_table(energies)
    draw_histograms(energies, folder / "energies.png")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=["constant", "report"])
    parser.add_argument("path", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.command == "constant":
        write_constant(arguments.path)
    else:
        report(arguments.path)


if __name__ == "__main__":
    main()
