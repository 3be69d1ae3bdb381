#!/usr/bin/env python3
"""Exports a checkpoint of train_mnist_ebm.py to ONNX, prints AUROCs and judges its samples."""

import argparse

import torch

import common
from models import ConvEnergy, DigitClassifier


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    common.add_data_arguments(parser)
    common.add_recipe_arguments(parser)
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="checkpoint to export")
    parser.add_argument("--out", required=True, metavar="FILE", help="ONNX file to write")
    parser.add_argument("--classifier", metavar="FILE",
                        help="ONNX file of mnist_classifier, to judge samples from uniform noise")
    parser.add_argument("--grid", metavar="PNG", help="grid of those samples to write")
    parser.add_argument("--stages", type=int, nargs="+", default=[60, 250, 500, 1000, 2000],
                        help="rising numbers of transitions from noise")
    parser.add_argument("--samples", type=int, default=256, help="chains from noise")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers")
    return parser.parse_args()


def judge_samples(network, options):
    """Prints, for samples from noise, how digit-like they are; draws the first 32 of each stage."""
    classifier = common.with_weights_of(DigitClassifier(), options.classifier)
    stages = common.samples_from_noise(network, options.samples, options.stages, options)
    for steps, chains in zip(options.stages, stages):
        logits = common.in_batches(classifier, chains)
        confidence, digit = torch.softmax(logits, 1).max(1)
        counts = torch.bincount(digit, minlength=10).tolist()
        energy = common.in_batches(network, chains).median()
        print(f"{steps} steps from noise: {100 * (confidence > 0.9).float().mean():.0f} % classified "
              f"with confidence above 0.9; median energy {energy:.4f}; digits 0-9: {counts}")
    if options.grid:
        common.save_grid(options.grid, torch.cat([chains[:32] for chains in stages]), 16)


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    state = torch.load(options.checkpoint, map_location="cpu")
    network = ConvEnergy(state["width"])
    network.load_state_dict(state["network"])
    network.requires_grad_(False)
    print(f"checkpoint after {state['iteration']} updates")
    common.export_onnx(network, torch.rand(2, 1, 28, 28), "energy", options.out)
    common.report_energies(network, options)
    if options.classifier:
        judge_samples(network, options)


if __name__ == "__main__":
    main()
