#!/usr/bin/env python3
"""Writes the first 1,000 test images of MNIST and of Fashion-MNIST as uint8 .npy files."""

import argparse
import os

import numpy as np

import common

ROWS = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    common.add_data_arguments(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the .npy files")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    for name, folder in (("mnist_test_1000", options.data), ("fashion_1000", options.fashion)):
        images = common.load_uint8(folder, "t10k")[:ROWS]
        np.save(os.path.join(options.out, f"{name}.npy"), images)
        print(f"{name}.npy: {images.dtype} {images.shape}")


if __name__ == "__main__":
    main()
