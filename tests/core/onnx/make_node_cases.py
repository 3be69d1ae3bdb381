#!/usr/bin/env python3
"""Writes node_cases.pb: ONNX's own node tests, for the operators of the importer.

Needs the `onnx` package, whose tests they are. One onnx.GraphProto holds all cases: a node
each, named after the test, with attributes `model` (bytes), `inputs` and `outputs` (tensors).
Integer inputs (axes, shapes, indices) become initialisers, as exporters write them.
Cases with large tensors are left out, to keep the file small.
"""

import argparse
import warnings

import numpy as np
from onnx import AttributeProto, GraphProto, numpy_helper

# onnx 1.12 uses names that NumPy has dropped since.
for _alias, _type in (("float", float), ("bool", bool), ("object", object), ("int", int)):
    if not hasattr(np, _alias):
        setattr(np, _alias, _type)

from onnx.backend.test.case.node import collect_testcases  # noqa: E402

OPERATORS = set("""Abs Add AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape
Conv Div Dropout Elu Erf Exp Flatten Gather Gemm GlobalAveragePool Identity LayerNormalization
LeakyRelu Log LogSoftmax MatMul Max MaxPool Min Mul Neg Pow Reciprocal ReduceLogSumExp ReduceMax
ReduceMean ReduceSum Relu Reshape Shape Sigmoid Slice Softmax Softplus Sqrt Squeeze Sub Sum Tanh
Transpose Unsqueeze""".split())


def is_float32(array):
    return isinstance(array, np.ndarray) and array.dtype == np.float32


def add_case(cases, test, max_bytes):
    """Adds one test unless it is out of scope; returns whether it was added."""
    if {node.op_type for node in test.model.graph.node} - OPERATORS:
        return False
    inputs, outputs = test.data_sets[0]
    arrays = list(inputs) + list(outputs[:1])
    if not all(isinstance(a, (np.ndarray, np.generic)) for a in arrays):
        return False
    if not is_float32(outputs[0]) or sum(np.asarray(a).nbytes for a in arrays) > max_bytes:
        return False
    model = test.model
    kept, graph_inputs = [], list(model.graph.input)
    del model.graph.input[:], model.graph.output[1:]
    for info, array in zip(graph_inputs, inputs):
        if is_float32(array):
            model.graph.input.append(info)
            kept.append(numpy_helper.from_array(array, info.name))
        elif array.dtype in (np.int64, np.int32, np.bool_):
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), info.name))
        else:
            return False
    if not kept:
        return False
    model.graph.ClearField("doc_string")
    # Operators that are older than the importer's opsets have not changed since.
    model.opset_import[0].version = max(model.opset_import[0].version, 11)
    case = cases.node.add(name=test.name)
    case.attribute.add(name="model", type=AttributeProto.STRING, s=model.SerializeToString())
    case.attribute.add(name="inputs", type=AttributeProto.TENSORS, tensors=kept)
    expected = numpy_helper.from_array(outputs[0], "expected")
    case.attribute.add(name="outputs", type=AttributeProto.TENSORS, tensors=[expected])
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--max_bytes", type=int, default=4096, help="of a case's tensors")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.random.seed(0)
    cases = GraphProto(name="node cases")
    names = set()
    for test in collect_testcases(None):
        if test.name not in names and add_case(cases, test, options.max_bytes):
            names.add(test.name)
    with open(options.out, "wb") as file:
        file.write(cases.SerializeToString())


if __name__ == "__main__":
    main()
