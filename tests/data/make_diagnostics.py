#!/usr/bin/env python3
"""Prints kArviz of tests/core/sampler/diagnostics_test.cc: the diagnostics of
ArviZ (0.23.4 made those) for chains that both sides make alike.

    pip install arviz && python3 tests/data/make_diagnostics.py
"""

import arviz
import numpy as np

MASK = (1 << 64) - 1


class Uniforms:
    """Knuth's 64-bit linear congruential generator, as in the test."""

    def __init__(self):
        self.state = 1

    def __call__(self):
        self.state = (self.state * 6364136223846793005
                      + 1442695040888963407) & MASK
        return (self.state >> 40) / 2.0 ** 24


def draw(law, chain, previous, u):
    if law == "independent":
        return u
    if law == "autoregressive":
        return 0.875 * previous + (u - 0.5)
    if law == "antithetic":
        return -0.5 * previous + (u - 0.5)
    if law == "shifted":
        return u + 0.25 * chain
    if law == "scaled":
        return (2 * u - 1) * (1 + chain)
    if law == "heavy_tailed":                    # P(X > x) = 1 / (2 (1 + x))
        return (2 * u - 1) / (1 - abs(2 * u - 1)) if u > 0 else 0.0
    if law == "ties":
        return np.floor(20 * u * u * u)
    raise ValueError(law)


def traces(law, chains, draws):
    uniform = Uniforms()
    values = np.zeros((chains, draws), np.float32)
    for c in range(chains):
        x = 0.0
        for d in range(draws):
            x = draw(law, c, x, uniform())
            values[c, d] = x
    return values.astype(np.float64)


for law, chains, draws in [
        ("independent", 4, 100), ("autoregressive", 4, 500),
        ("autoregressive", 1, 64), ("autoregressive", 3, 333),
        ("antithetic", 4, 200), ("shifted", 4, 100), ("scaled", 4, 200),
        ("heavy_tailed", 4, 500), ("ties", 4, 100)]:
    x = traces(law, chains, draws)
    # ArviZ refuses R-hat of one chain, which is defined all the same: the
    # halves are two chains.
    h = draws // 2
    halves = np.concatenate([x[:, :h], x[:, -h:]])
    if chains == 1:
        z = arviz.stats.diagnostics._z_scale(halves)
        f = arviz.stats.diagnostics._z_fold(halves)
        rhats = [arviz.rhat(halves, method="identity"),
                 max(arviz.rhat(z, method="identity"),
                     arviz.rhat(f, method="identity"))]
    else:
        rhats = [arviz.rhat(x, method="split"), arviz.rhat(x, method="rank")]
    ess = [arviz.ess(x, method=m) for m in ("mean", "bulk", "tail")]
    print(f'    {{"{law}", {chains}, {draws}, '
          + ", ".join(f"{float(v):.12g}" for v in rhats + ess) + "},")
