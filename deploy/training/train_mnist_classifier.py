#!/usr/bin/env python3
"""Trains the mnist_classifier demo model and exports its logits to ONNX.

The server reads the classifier as an energy, E(x) = -logsumexp(logits).
"""

import argparse

import torch
from torch.nn import functional

import common
from models import DigitClassifier


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    common.add_data_arguments(parser)
    parser.add_argument("--out", required=True, metavar="FILE", help="ONNX file to write")
    parser.add_argument("--epochs", type=int, default=6, help="passes over the training set")
    parser.add_argument("--batch", type=int, default=128, help="images per update")
    parser.add_argument("--learning-rate", type=float, default=2e-3,
                        help="first Adam step size; falls linearly to 0")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers")
    return parser.parse_args()


def fit(network, images, labels, options):
    """Minimises the cross entropy by Adam with a linearly falling rate."""
    optimiser = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    total = options.epochs * -(-len(images) // options.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: 1.0 - done / total)
    for epoch in range(options.epochs):
        losses = []
        for rows in torch.randperm(len(images)).split(options.batch):
            loss = functional.cross_entropy(network(images[rows]), labels[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: cross entropy {sum(losses) / len(losses):.4f}", flush=True)


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    network = DigitClassifier()
    fit(network, common.load_images(options.data, "train"),
        common.load_labels(options.data, "train"), options)
    common.export_onnx(network, torch.rand(2, 1, 28, 28), "logits", options.out)
    logits = common.in_batches(network, common.load_images(options.data, "t10k"))
    accuracy = (logits.argmax(1) == common.load_labels(options.data, "t10k")).float().mean()
    print(f"test accuracy {accuracy:.4f}")
    common.report_energies(common.classifier_energy(network), options)


if __name__ == "__main__":
    main()
