#!/usr/bin/env python3
"""Writes the model of logistic_benchmark into a folder: the posterior of a
logistic regression with 100 coefficients w and 1,000 rows of data,

  E(w) = sum_i softplus(-y_i x_i w) + |w|^2 / 2,

as ONNX, and its data, -y_i x_i [1000, 100], as data.npy. Needs onnx, numpy."""

import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS, COEFFICIENTS = 1000, 100

CONFIG = """family: GRAPH
input { name: "w" shape: [100] }
defaults { transition { hmc { step_size: 0.02 leaps: 16 } } }
"""


def data():
    """-y_i x_i, [ROWS, COEFFICIENTS], from a regression that is true."""
    random = numpy.random.default_rng(1)
    x = random.standard_normal((ROWS, COEFFICIENTS))
    w = 0.3 * random.standard_normal(COEFFICIENTS)
    y = numpy.where(random.random(ROWS) < 1 / (1 + numpy.exp(-x @ w)), 1, -1)
    return (-y[:, None] * x).astype(numpy.float32)


def model(values):
    node, constant = helper.make_node, numpy_helper.from_array
    axes = constant(numpy.array([1], dtype=numpy.int64), "axes")
    graph = helper.make_graph(
        [node("MatMul", ["w", "data"], ["logits"]),
         node("Softplus", ["logits"], ["terms"]),
         node("ReduceSum", ["terms", "axes"], ["misfit"], keepdims=0),
         node("Mul", ["w", "w"], ["squares"]),
         node("ReduceSum", ["squares", "axes"], ["norm"], keepdims=0),
         node("Mul", ["norm", "half"], ["prior"]),
         node("Add", ["misfit", "prior"], ["energy"])],
        "logistic",
        [helper.make_tensor_value_info("w", TensorProto.FLOAT, ["N", COEFFICIENTS])],
        [helper.make_tensor_value_info("energy", TensorProto.FLOAT, ["N"])],
        [constant(numpy.ascontiguousarray(values.T), "data"), axes,
         constant(numpy.array(0.5, dtype=numpy.float32), "half")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)],
                             ir_version=7)


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "logistic" / "1").mkdir(parents=True)
    (folder / "logistic" / "config.pbtxt").write_text(CONFIG)
    values = data()
    onnx.save(model(values), str(folder / "logistic" / "1" / "model.onnx"))
    numpy.save(folder / "data.npy", values)


if __name__ == "__main__":
    main()
