#!/usr/bin/env python3
"""Writes node_cases.pb: ONNX's own node tests, for the operators of the importer
but those of neural networks, of which make_node_cases_nn.py is.

Needs the `onnx` package, whose tests they are. One onnx.GraphProto holds all cases: a node
each, named after the test, with attributes `model` (bytes), `inputs` and `outputs` (tensors).
Where an operator takes integers and bools while it runs they are inputs of the model; in a
second case, and for all other operators (axes, shapes), they become initialisers, as exporters
write them. Cases with large tensors are left out, to keep the file small.

The package has one opset for each operator; for others, add the cases of another version of it:

    make_node_cases.py --out node_cases.pb                     # onnx 1.12: opsets 7 to 17
    make_node_cases.py --out node_cases.pb --add --since 18    # onnx 1.19 or later
"""

import argparse
import warnings

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, TensorProto, helper, numpy_helper

# onnx 1.12 uses names that NumPy has dropped since.
for _alias, _type in (("float", float), ("bool", bool), ("object", object), ("int", int)):
    if not hasattr(np, _alias):
        setattr(np, _alias, _type)

from onnx.backend.test.case.node import collect_testcases  # noqa: E402

OPERATORS = set("""Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Cast CastLike Ceil
Celu Clip Concat Constant ConstantOfShape Cos Cosh CumSum DepthToSpace Div Dropout Einsum Elu
Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Greater
GreaterOrEqual HardSigmoid HardSwish Hardmax Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log
Max Mean Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow Range Reciprocal Relu Reshape
Resize Round Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice
Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK
Transpose Trilu Unsqueeze Upsample Where Xor""".split())

# These take integers and bools at run time, but for the inputs at these places.
RUNTIME = dict.fromkeys(
    """Abs Add And ArgMax ArgMin Cast Div Equal Gather GatherElements GatherND Greater
    GreaterOrEqual Less LessOrEqual Max Min Mod Mul Neg Not Or ScatterElements ScatterND Sign Sub
    Sum Trilu Where Xor""".split(), ())
RUNTIME.update(OneHot=(1,), Trilu=(1,))
# These need constants there, of whatever type.
CONSTANT = dict(CumSum=(1,), NonZero=(0,), OneHot=(1,), Range=(0, 1, 2), Resize=(1, 2, 3),
                Upsample=(1,))
# Of other operators only the first output is imported.
SEVERAL_OUTPUTS = {"Split", "TopK"}
# Basin rounds to float16 only when it reads weights; uint8 images; coarse constants.
LEFT_OUT = ("to_FLOAT16", "fp16", "uint8", "window")
FLOATS = (np.float32, np.float64, np.float16)
INTEGERS = (np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_)
MAX_OPSET = 23


def stored(array, name):
    """A tensor of float32 or int64, as the test reads them."""
    array = np.asarray(array)
    return numpy_helper.from_array(
        array.astype(np.float32 if array.dtype in FLOATS else np.int64), name)


def is_runtime_input(graph, name, array, integers_run):
    places = [(node.op_type, i) for node in graph.node
              for i, used in enumerate(node.input) if used == name]
    if any(i in CONSTANT.get(op, ()) for op, i in places):
        return False
    if array.dtype in FLOATS:
        return True
    return integers_run and not any(i in RUNTIME[op] for op, i in places)


def add_case(cases, test, name, integers_run):
    """Adds a test whose node, if `integers_run`, gets its integers as inputs."""
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    graph = model.graph
    inputs, outputs = test.data_sets[0]
    kept, infos = [], list(graph.input)
    several = graph.node[0].op_type in SEVERAL_OUTPUTS
    del graph.input[:]
    if not several:
        del graph.output[1:]
    for info, array in zip(infos, inputs):
        array = np.asarray(array)
        if is_runtime_input(graph, info.name, array, integers_run):
            graph.input.append(info)
            kept.append(stored(array, info.name))
        else:
            graph.initializer.append(numpy_helper.from_array(array, info.name))
    if not kept:  # a model has an input
        graph.input.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, [1]))
        kept.append(stored(np.zeros(1, np.float32), "unused"))
    graph.ClearField("doc_string")
    case = cases.node.add(name=name)
    case.attribute.add(name="model", type=AttributeProto.STRING, s=model.SerializeToString())
    case.attribute.add(name="inputs", type=AttributeProto.TENSORS, tensors=kept)
    expected = [stored(o, "expected") for o in (outputs if several else outputs[:1])]
    case.attribute.add(name="outputs", type=AttributeProto.TENSORS, tensors=expected)


def in_scope(test, options):
    nodes = test.model.graph.node
    if any(node.op_type not in OPERATORS or node.domain for node in nodes):
        return False
    if any(part in test.name for part in LEFT_OUT) or len(nodes) > 8:
        return False
    opset = test.model.opset_import[0].version
    if opset < options.since or opset > MAX_OPSET:
        return False
    inputs, outputs = test.data_sets[0]
    arrays = list(inputs) + list(outputs)
    if not all(isinstance(a, (np.ndarray, np.generic)) for a in arrays):
        return False
    if not all(np.asarray(a).dtype in FLOATS + INTEGERS for a in arrays):
        return False
    return sum(np.asarray(a).nbytes for a in arrays) <= options.max_bytes


def add_cases(cases, options):
    names = {case.name for case in cases.node}
    for test in collect_testcases(None):
        if not in_scope(test, options):
            continue
        opset = test.model.opset_import[0].version
        # Operators older than the importer's opsets have not changed since.
        test.model.opset_import[0].version = max(opset, 7)
        name = f"{test.name}/{opset}" if options.add else test.name
        if name in names:
            continue
        names.add(name)
        runtime = all(node.op_type in RUNTIME for node in test.model.graph.node)
        has_integers = any(np.asarray(a).dtype in INTEGERS for a in test.data_sets[0][0])
        if runtime:
            add_case(cases, test, name, True)
        if has_integers or not runtime:
            add_case(cases, test, name + ("/constant" if runtime else ""), False)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--add", action="store_true", help="to the cases of the file")
    parser.add_argument("--since", type=int, default=1, help="the least opset of a case")
    parser.add_argument("--max_bytes", type=int, default=1024, help="of a case's tensors")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.random.seed(0)
    cases = GraphProto(name="node cases")
    if options.add:
        with open(options.out, "rb") as file:
            cases.ParseFromString(file.read())
    add_cases(cases, options)
    with open(options.out, "wb") as file:
        file.write(cases.SerializeToString())


if __name__ == "__main__":
    main()
