#!/usr/bin/env python3
"""Trains the mnist_ebm demo model by maximum likelihood (persistent contrastive divergence).

The negative samples come from a replay buffer of Markov chains that are moved by exactly the
transition that the server runs (the IGEBM recipe); a fraction of them restarts from uniform
noise at each visit. Only the training set is used for fitting; the test sets of MNIST and
Fashion-MNIST are only scored. Writes checkpoint.pt, last_good.pt and sample grids to --out.
"""

import argparse
import os
import time

import torch

import common
from models import ConvEnergy


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    common.add_data_arguments(parser)
    common.add_recipe_arguments(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for checkpoints and PNGs")
    parser.add_argument("--resume", action="store_true", help="go on from checkpoint.pt in --out")
    parser.add_argument("--iterations", type=int, default=3300, help="weight updates in all")
    parser.add_argument("--batch", type=int, default=128, help="images, and chains, per update")
    parser.add_argument("--width", type=int, default=16, help="channels of the first convolution")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="Adam step size")
    parser.add_argument("--decay-start", type=float, default=0.79,
                        help="fraction of the iterations after which the rate falls linearly to 2 %%")
    parser.add_argument("--energy-penalty", type=float, default=0.1,
                        help="weight of the mean squared energies in the loss")
    parser.add_argument("--data-noise", type=float, default=0.0025,
                        help="std. deviation of the noise on training images, in pixel units [0, 1]")
    parser.add_argument("--steps", type=int, default=40, help="transitions per update")
    parser.add_argument("--capacity", type=int, default=8192, help="chains in the replay buffer")
    parser.add_argument("--restart-probability", type=float, default=0.05,
                        help="share of the chains that restart from uniform noise at each visit")
    parser.add_argument("--gap-limit", type=float, default=3.0,
                        help="|mean E(data) - mean E(chains)| beyond which training has diverged")
    parser.add_argument("--evaluate-every", type=int, default=200, help="updates between checkpoints")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers")
    return parser.parse_args()


class Trainer:
    """The network, its optimiser and its replay buffer."""

    def __init__(self, options):
        self.options = options
        self.network = ConvEnergy(options.width).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), lr=options.learning_rate, betas=(0.0, 0.999))
        self.buffer = torch.rand(options.capacity, 1, 28, 28)
        self.iteration = 0
        self.rate_scale = 1.0

    def path(self, name):
        return os.path.join(self.options.out, name)

    def save(self, name):
        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(),
                 "buffer": self.buffer, "iteration": self.iteration,
                 "rate_scale": self.rate_scale, "width": self.options.width}
        torch.save(state, self.path(name + ".part"))
        os.replace(self.path(name + ".part"), self.path(name))

    def load(self, name):
        state = torch.load(self.path(name))
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.buffer, self.iteration = state["buffer"], state["iteration"]
        self.rate_scale = state["rate_scale"]

    def set_learning_rate(self):
        start = self.options.decay_start
        progress = self.iteration / self.options.iterations
        decay = 1.0 if progress < start else max(0.02, (1.0 - progress) / (1.0 - start))
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.learning_rate * self.rate_scale * decay

    def negatives(self):
        """Moves a random part of the buffer by the sampling transition and returns it."""
        slots = torch.randperm(self.options.capacity)[:self.options.batch]
        chains = self.buffer[slots]
        restart = torch.rand(len(slots)) < self.options.restart_probability
        chains[restart] = torch.rand(int(restart.sum()), 1, 28, 28)
        self.network.requires_grad_(False)
        chains = common.igebm_steps(self.network, chains, self.options.steps, self.options)
        self.network.requires_grad_(True)
        self.buffer[slots] = chains
        return chains

    def update(self, images):
        """One step of the optimiser; returns the mean energies of the data and of the chains."""
        self.set_learning_rate()
        images = images + self.options.data_noise * torch.randn_like(images)
        both = torch.cat([images.clamp_(0.0, 1.0), self.negatives()])
        energy = self.network(both)
        real, fake = energy[:len(images)], energy[len(images):]
        penalty = self.options.energy_penalty * (real.square().mean() + fake.square().mean())
        loss = real.mean() - fake.mean() + penalty
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 0.1)
        self.optimiser.step()
        self.iteration += 1
        return real.mean().item(), fake.mean().item()

    def diverged(self, real, fake):
        return not abs(real - fake) < self.options.gap_limit  # also true for NaN

    def roll_back(self):
        """Returns to the last good state with half the learning rate and other random numbers."""
        scale = self.rate_scale / 2
        self.load("last_good.pt")
        self.rate_scale = scale


def evaluate(trainer, mnist, fashion):
    """AUROC on the given images, and grids of samples drawn from uniform noise."""
    network = trainer.network.requires_grad_(False)
    score = common.auroc(common.in_batches(network, mnist), common.in_batches(network, fashion))
    stages = common.samples_from_noise(network, 32, (60, 250, 1000), trainer.options)
    common.save_grid(trainer.path(f"samples_{trainer.iteration:06d}.png"), torch.cat(stages), 16)
    common.save_grid(trainer.path("buffer.png"), trainer.buffer[:64], 16)
    return score


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    os.makedirs(options.out, exist_ok=True)
    train = common.load_images(options.data, "train")
    mnist = common.load_images(options.data, "t10k")[:2000]
    fashion = common.load_images(options.fashion, "t10k")[:2000]
    trainer = Trainer(options)
    if options.resume:
        trainer.load("checkpoint.pt")
        torch.manual_seed(options.seed + trainer.iteration)
    else:
        trainer.save("last_good.pt")
    started = time.monotonic()
    while trainer.iteration < options.iterations:
        rows = torch.randint(len(train), (options.batch,))
        real, fake = trainer.update(train[rows])
        if trainer.diverged(real, fake):
            print(f"{trainer.iteration} diverged: E(data) {real:.4g}, E(chains) {fake:.4g}", flush=True)
            trainer.roll_back()
        elif trainer.iteration % options.evaluate_every == 0:
            score = evaluate(trainer, mnist, fashion)
            trainer.save("checkpoint.pt")
            trainer.save("last_good.pt")
            print(f"{trainer.iteration} {time.monotonic() - started:.0f} s: AUROC {score:.4f}", flush=True)
        if trainer.iteration % 50 == 0:
            print(f"{trainer.iteration} E(data) {real:+.4f} E(chains) {fake:+.4f}", flush=True)
    trainer.save("checkpoint.pt")


if __name__ == "__main__":
    main()
