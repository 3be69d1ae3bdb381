#!/usr/bin/env python3
"""Writes what Keras exports to tests/data/golden/architectures: OUT/NAME/keras_BACKEND.onnx, by
`model.export(..., format="onnx")`, with its golden values.

With the backend TensorFlow (tf2onnx makes the file): all of a folder; energies and gradients are
TensorFlow's own, computed in double from the float32 weights. With JAX (jax2onnx makes it): the file
only, after checking that JAX gives the golden values. Weights and states come from NumPy's
generator, seeded by the name. Names after the options limit what is written.

Made with keras 3.15.1; tensorflow-cpu 2.21.0 and tf2onnx 1.17.0; jax 0.10.2 and jax2onnx 0.17.1;
onnx 1.23.2:

    pip install keras tensorflow-cpu tf2onnx onnx           # one environment
    pip install keras "jax[cpu]" jax2onnx                   # another
    KERAS_BACKEND=tensorflow python export_keras.py --out tests/data/golden/architectures
    KERAS_BACKEND=jax python export_keras.py --out tests/data/golden/architectures
"""

import argparse
import os
import zlib

import keras
import numpy as np
from keras import layers, ops

from golden_files import CONDITION, check_golden, error, finish, write_config, write_values

ROWS = 4
BACKEND = keras.backend.backend()


def mlp(x):
    hidden = layers.Dense(32, activation="silu")(x)
    hidden = layers.Dense(32, activation="softplus")(hidden)
    square = layers.Lambda(lambda x: 0.5 * ops.sum(ops.square(x), axis=1, keepdims=True))(x)
    return layers.Add()([layers.Dense(1)(hidden), square])


def convnet(x):
    """Channels last, as Keras has them unless told otherwise."""
    hidden = layers.Conv2D(8, 3, padding="same", activation="elu")(x)
    hidden = layers.BatchNormalization()(hidden)
    hidden = layers.Conv2D(12, 3, strides=2, padding="same", activation="gelu")(hidden)
    hidden = layers.AveragePooling2D(2)(hidden)
    hidden = layers.SeparableConv2D(16, 3, activation="silu")(hidden)
    return layers.Dense(1)(layers.Flatten()(hidden))


def transformer(x):
    hidden = layers.Dense(16)(x)
    for _ in range(2):
        normed = layers.LayerNormalization()(hidden)
        hidden = hidden + layers.MultiHeadAttention(4, 4)(normed, normed)
        normed = layers.LayerNormalization()(hidden)
        hidden = hidden + layers.Dense(16)(layers.Dense(32, activation="gelu")(normed))
    return layers.Dense(1)(layers.GlobalAveragePooling1D()(hidden))


def classifier(x):
    return layers.Dense(4)(layers.Dense(24, activation="tanh")(x))


# Of each: what it is of its input, the shape of a state, the family.
ZOO = {
    "keras_mlp": (mlp, (12,), "GRAPH"),
    "keras_convnet": (convnet, (12, 12, 3), "GRAPH"),
    "keras_transformer": (transformer, (8, 6), "GRAPH"),
    "keras_classifier": (classifier, (10,), "CLASSIFIER"),
}


def build(name, dtype):
    """The model with its weights, which are the same in every backend and dtype."""
    function, shape, _ = ZOO[name]
    keras.config.set_floatx(dtype)
    x = keras.Input(shape, name="x")
    model = keras.Model(x, function(x))
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    values = []
    for variable in model.variables:
        fan = np.sqrt(np.prod(variable.shape[:-1])) if len(variable.shape) > 1 else 5
        noise = (rng.normal(size=variable.shape) * 1.5 / fan).astype(np.float32)
        is_variance = "variance" in variable.path
        values.append(np.exp(noise) if is_variance else noise +
                      np.float32("gamma" in variable.path))
    for variable, value in zip(model.variables, values):
        variable.assign(value.astype(dtype))
    states = rng.normal(size=(ROWS, *shape)).astype(np.float32)
    return model, states


def energy_of(model, x, family):
    output = model(x, training=False)
    return -ops.logsumexp(output, axis=1) if family == "CLASSIFIER" else output[:, 0]


def evaluate(name, dtype):
    """Energies and gradients, computed in `dtype`."""
    model, states = build(name, dtype)
    family = ZOO[name][2]
    if BACKEND == "tensorflow":
        import tensorflow as tf
        x = tf.constant(states, dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            energy = energy_of(model, x, family)
        gradient = tape.gradient(energy, x)
    else:
        import jax
        x = jax.numpy.asarray(states, dtype)
        energy = energy_of(model, x, family)
        gradient = jax.grad(lambda x: energy_of(model, x, family).sum())(x)
    return np.asarray(energy, np.float64), np.asarray(gradient, np.float64)


def write(name, folder):
    _, shape, family = ZOO[name]
    rough = evaluate(name, "float32")
    if BACKEND == "tensorflow":
        energy, gradient = check_golden(name, rough, evaluate(name, "float64"))
    model, states = build(name, "float32")
    model(states)  # only what has been called can be exported
    path = os.path.join(folder, f"keras_{BACKEND}.onnx")
    model.export(path, format="onnx", opset_version=18, verbose=False)
    finish(path, "float32")
    if BACKEND == "tensorflow":
        write_values(folder, {"x": states, "energy": energy, "grad": gradient})
        write_config(folder, family, shape)
    for key, value in {"energy": rough[0], "grad": rough[1]}.items():
        if error(value, np.load(os.path.join(folder, f"{key}.npy"))) > CONDITION:
            raise ValueError(f"{name}: another {key} than the golden one")
    print(f"{name}: {BACKEND}", flush=True)


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
