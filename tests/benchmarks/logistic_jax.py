#!/usr/bin/env python3
"""HMC and MALA on the posterior of logistic_model.py: Basin against BlackJAX
on JAX's CPU backend, 64 chains, float32, the same step sizes.

  logistic_jax.py LOGISTIC_BENCHMARK FOLDER

Runs both in turns, several times, and prints "name<TAB>value" for table.py:
medians of gradient evaluations and effective samples per second, and of the
ratios of times. Effective samples are of the bulk, the least over coordinates,
by one function for both. Needs jax, blackjax, scipy."""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import blackjax
import jax
import jax.numpy as jnp
import numpy
import scipy.special
import scipy.stats

CHAINS, REPETITIONS = 64, 5
# Name: (step size, gradients per step, steps).
RUNS = {"hmc": (0.02, 16, 400), "mala": (0.003, 1, 4000)}


def sampler(name, data):
    """A function of a key that gives the states, [steps, chains, D]."""
    step_size, leaps, steps = RUNS[name]
    dimension = data.shape[1]

    def log_density(w):
        return -jnp.sum(jax.nn.softplus(data @ w)) - 0.5 * jnp.sum(w * w)

    if name == "hmc":
        kernel = blackjax.hmc(log_density, step_size=step_size,
                              inverse_mass_matrix=jnp.ones(dimension),
                              num_integration_steps=leaps)
    else:
        kernel = blackjax.mala(log_density, step_size=step_size)

    @jax.jit
    def run(key):
        def step(states, key):
            states, _ = jax.vmap(kernel.step)(jax.random.split(key, CHAINS), states)
            return states, states.position
        states = jax.vmap(kernel.init)(jnp.zeros((CHAINS, dimension)))
        return jax.lax.scan(step, states, jax.random.split(key, steps))[1]

    return run


def run_jax(run, seed):
    start = time.perf_counter()
    states = run(jax.random.PRNGKey(seed)).block_until_ready()
    return time.perf_counter() - start, numpy.asarray(states)


def run_basin(program, folder, name):
    step_size, leaps, steps = RUNS[name]
    with tempfile.NamedTemporaryFile() as file:
        done = subprocess.run(
            [program, folder / "logistic", name, str(step_size), str(leaps),
             str(steps), file.name], check=True, capture_output=True, text=True)
        states = numpy.fromfile(file.name, dtype=numpy.float32)
    values = dict(line.split("\t") for line in done.stdout.splitlines())
    return (float(values["seconds"]), states.reshape(steps, CHAINS, -1),
            float(values["acceptance"]))


def bulk_ess(states):
    """Of the one of 16 coordinates that has the fewest; the first fifth is
    burn-in (Vehtari et al. 2021)."""
    kept = states[len(states) // 5:]
    half = len(kept) // 2
    least = float("inf")
    for i in range(0, kept.shape[2], kept.shape[2] // 16 + 1):
        x = kept[:2 * half, :, i].T.reshape(2 * CHAINS, half)
        ranks = scipy.stats.rankdata(x).reshape(x.shape)
        z = scipy.special.ndtri((ranks - 0.375) / (x.size + 0.25))
        least = min(least, float(blackjax.diagnostics.effective_sample_size(z)))
    return least


def report(name, value):
    print(f"{name}\t{value:.9g}", flush=True)


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    data = jnp.asarray(numpy.load(folder / "data.npy"))
    print(f"jax_version\t{jax.__version__}\nblackjax_version\t{blackjax.__version__}")
    for name, (_, leaps, steps) in RUNS.items():
        run = sampler(name, data)
        run_jax(run, 0)
        ours, theirs = [], []
        for seed in range(1, REPETITIONS + 1):
            seconds, states, acceptance = run_basin(program, folder, name)
            ours.append((seconds, states))
            theirs.append(run_jax(run, seed))
        gradients = CHAINS * steps * leaps
        report(f"{name}_acceptance", acceptance)
        for who, runs in (("basin", ours), ("jax", theirs)):
            seconds = statistics.median(seconds for seconds, _ in runs)
            report(f"{name}_{who}_gradients_per_second", gradients / seconds)
            report(f"{name}_{who}_ess_per_second", bulk_ess(runs[-1][1]) / seconds)
        report(f"{name}_over_jax", statistics.median(
            jax_run[0] / basin_run[0] for basin_run, jax_run in zip(ours, theirs)))


if __name__ == "__main__":
    main()
