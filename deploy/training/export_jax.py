#!/usr/bin/env python3
"""Writes what JAX exports to tests/data/golden/architectures: OUT/NAME/jax.onnx, with its golden
values.

Each is a function of plain JAX, or modules of Flax, as people write them; jax2onnx makes the file.
Weights and states come from NumPy's generator, seeded by the name. Energies and gradients are
JAX's own, computed in double from the float32 weights. Names after the options limit what is
written.

Made with jax 0.10.2, flax 0.12.8, jax2onnx 0.17.1 and onnx 1.23.2:

    pip install "jax[cpu]" flax jax2onnx
    python export_jax.py --out tests/data/golden/architectures
"""

import argparse
import os
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax2onnx import to_onnx

from golden_files import check_golden, finish, write_config, write_values

ROWS = 4


def weights(rng, *shape):
    """Of variance 1 / the number of inputs."""
    return (rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


# A multilayer perceptron, as a function of its parameters and of x [N, 12].
def mlp(params, x):
    hidden = x
    for w, b in params[:-1]:
        hidden = jax.nn.silu(hidden @ w + b)
    w, b = params[-1]
    return jnp.squeeze(hidden @ w + b, axis=1) + 0.5 * jnp.sum(x**2, axis=1)


def mlp_params(rng):
    sizes = [12, 32, 32, 1]
    return [(2 * weights(rng, n, m), 0.1 * weights(rng, m)) for n, m in zip(sizes, sizes[1:])]


# Convolutions of jax.lax, images [N, 12, 12, 3] with channels last.
def convolve(x, w, stride):
    return jax.lax.conv_general_dilated(x, w, (stride, stride), "SAME",
                                        dimension_numbers=("NHWC", "HWIO", "NHWC"))


def lax_convnet(params, x):
    hidden = jax.nn.softplus(convolve(x, params["first"], 1))
    hidden = jax.nn.leaky_relu(convolve(hidden, params["second"], 2), 0.1)
    hidden = jax.lax.reduce_window(hidden, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1),
                                   "VALID") / 4
    hidden = jnp.tanh(jnp.mean(hidden, axis=(1, 2)) @ params["dense"])
    return -jax.nn.logsumexp(hidden * 3, axis=-1) + 0.05 * jnp.sum(x * x, axis=(1, 2, 3))


def lax_convnet_params(rng):
    return {"first": 2 * weights(rng, 3, 3, 3, 8), "second": 2 * weights(rng, 3, 3, 8, 12),
            "dense": 2 * weights(rng, 12, 5)}


class ConvNet(nnx.Module):
    """Flax's layers on images [N, 12, 12, 1]."""

    def __init__(self, rngs):
        self.first = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.norm = nnx.GroupNorm(8, num_groups=4, rngs=rngs)
        self.second = nnx.Conv(8, 16, (3, 3), strides=2, rngs=rngs)
        self.third = nnx.Conv(16, 16, (3, 3), padding="VALID", feature_group_count=2, rngs=rngs)
        self.dense = nnx.Linear(16, 1, rngs=rngs)

    def __call__(self, x):
        hidden = nnx.gelu(self.norm(self.first(x)))
        hidden = nnx.avg_pool(nnx.elu(self.second(hidden)), window_shape=(2, 2), strides=(1, 1))
        hidden = nnx.silu(self.third(hidden))
        return self.dense(jnp.mean(hidden, axis=(1, 2)))[:, 0]


class Transformer(nnx.Module):
    """Two pre-norm blocks over states [N, 8, 6], which are tokens."""

    def __init__(self, rngs, width=16, heads=4):
        self.embed = nnx.Linear(6, width, rngs=rngs)
        self.place = nnx.Param(jnp.zeros((8, width)))
        self.blocks = nnx.List([
            nnx.Dict(norm=nnx.LayerNorm(width, rngs=rngs),
                     attend=nnx.MultiHeadAttention(heads, width, decode=False, rngs=rngs),
                     norm2=nnx.LayerNorm(width, rngs=rngs),
                     up=nnx.Linear(width, 2 * width, rngs=rngs),
                     down=nnx.Linear(2 * width, width, rngs=rngs)) for _ in range(2)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, x):
        hidden = self.embed(x) + self.place[...]
        for block in self.blocks:
            hidden = hidden + block.attend(block.norm(hidden))
            hidden = hidden + block.down(nnx.gelu(block.up(block.norm2(hidden))))
        return jnp.sum(self.head(self.norm(hidden)), axis=(1, 2))


class Classifier(nnx.Module):
    """Logits [N, 4] of x [N, 10]."""

    def __init__(self, rngs):
        self.first = nnx.Linear(10, 24, rngs=rngs)
        self.second = nnx.Linear(24, 4, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


def functional(function, params):
    """A function of parameters as `draw` of a model: (energy(params, x), params)."""
    return lambda rng: (function, params(rng))


def module(kind):
    """The same of a Flax module, with weights of `rng`."""

    def draw(rng):
        graph, state = nnx.split(kind(nnx.Rngs(0)))
        state = jax.tree.map(
            lambda leaf: (leaf + 1.5 * weights(rng, *leaf.shape)).astype(np.float32)
            if np.issubdtype(leaf.dtype, np.floating) else leaf, state)
        return lambda state, x: nnx.merge(graph, state)(x), state

    return draw


# Of each: how its energy and weights are made, the shape of a state, the opset, the family.
ZOO = {
    "jax_mlp": (functional(mlp, mlp_params), (12,), 21, "GRAPH"),
    "jax_lax_convnet": (functional(lax_convnet, lax_convnet_params), (12, 12, 3), 21, "GRAPH"),
    "jax_flax_convnet": (module(ConvNet), (12, 12, 1), 21, "GRAPH"),
    "jax_flax_transformer": (module(Transformer), (8, 6), 23, "GRAPH"),
    "jax_flax_classifier": (module(Classifier), (10,), 18, "CLASSIFIER"),
}


def evaluate(function, weights_, x, family, dtype):
    """Energies and gradients, computed in `dtype`."""

    def energy(x):
        output = function(cast, x)
        return -jax.nn.logsumexp(output, axis=1) if family == "CLASSIFIER" else output

    with jax.enable_x64(dtype == np.float64):
        cast = jax.tree.map(lambda leaf: leaf.astype(dtype) if np.issubdtype(
            leaf.dtype, np.floating) else leaf, weights_)
        x = jnp.asarray(x, dtype)
        return [np.asarray(energy(x), np.float64),
                np.asarray(jax.grad(lambda x: energy(x).sum())(x), np.float64)]


def write(name, folder):
    draw, shape, opset, family = ZOO[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    function, drawn = draw(rng)
    x = rng.normal(size=(ROWS, *shape)).astype(np.float32)
    rough = evaluate(function, drawn, x, family, np.float32)
    exact = evaluate(function, drawn, x, family, np.float64)
    energy, gradient = check_golden(name, rough, exact)
    path = os.path.join(folder, "jax.onnx")
    to_onnx(lambda x: function(drawn, x), [("N", *shape)], opset=opset, input_names=["x"],
            output_names=["logits" if family == "CLASSIFIER" else "energy"], return_mode="file",
            output_path=path)
    finish(path, "float32")
    write_values(folder, {"x": x, "energy": energy, "grad": gradient})
    write_config(folder, family, shape)
    print(f"{name}: opset {opset}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the golden files")
    parser.add_argument("names", nargs="*", help="models to write (default: all)")
    options = parser.parse_args()
    for name in options.names or ZOO:
        folder = os.path.join(options.out, name)
        os.makedirs(folder, exist_ok=True)
        write(name, folder)


if __name__ == "__main__":
    main()
