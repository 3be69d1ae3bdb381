#!/usr/bin/env python3
"""The loop that engine_benchmark runs, in PyTorch: ULA on a 784-512-512-1
SiLU MLP, 64 chains. Prints "pytorch_steps_per_second<TAB>value" and the
version, for table.py."""

import statistics
import sys
import time

import torch

CHAINS, STEPS, REPETITIONS, STEP_SIZE = 64, 200, 5, 1e-3


def energy():
    torch.manual_seed(1)
    silu = torch.nn.SiLU()
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 512), silu, torch.nn.Linear(512, 512), silu,
        torch.nn.Linear(512, 1))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def sample(model, x, steps):
    """x - e grad E(x) + sqrt(2 e) xi, `steps` times."""
    scale = (2 * STEP_SIZE) ** 0.5
    for _ in range(steps):
        x.requires_grad_(True)
        (gradient,) = torch.autograd.grad(model(x).sum(), x)
        with torch.no_grad():
            x = x - STEP_SIZE * gradient + scale * torch.randn_like(x)
    return x


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    model, x = energy(), torch.zeros(CHAINS, 784)
    sample(model, x, STEPS)
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        sample(model, x, STEPS)
        seconds.append(time.perf_counter() - start)
    rate = CHAINS * STEPS / statistics.median(seconds)
    print(f"pytorch_steps_per_second\t{rate:.9g}")
    print(f"pytorch_version\t{torch.__version__}")


if __name__ == "__main__":
    main()
