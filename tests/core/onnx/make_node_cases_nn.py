#!/usr/bin/env python3
"""Writes node_cases_nn.pb: ONNX's own node tests, for layers, reductions and control flow.

Needs the `onnx` package, whose tests they are; 1.18 or newer has those of opset 23. Recurrent
layers in both directions, which ONNX does not test, are those of PyTorch, with its results. The
file is as make_node_cases.py describes. Where a test's tensors are large it is left out, to keep the file
small; so are those of types that the importer does not compute in.
"""

import argparse
import warnings

import numpy as np
import torch
from onnx import AttributeProto, GraphProto, TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

OPERATORS = set("""Attention AveragePool BatchNormalization Conv ConvTranspose Gemm
GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization GRU If InstanceNormalization
LayerNormalization Loop LogSoftmax LpNormalization LpPool LRN LSTM MatMul MaxPool
MeanVarianceNormalization ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
ReduceMin ReduceProd ReduceSum ReduceSumSquare RMSNormalization RNN RotaryEmbedding Scan
Softmax""".split())

# What Basin refuses on purpose.
REFUSED = ("empty_set", "training_mode", "if_seq", "loop13_seq", "loop16",
           "if_opt", "sequence_map", "scan_sum",
           "ceil_last_window_starts_on_pad")  # whose expected values are rounded
MAX_OPSET = 23


def add_case(cases, test, max_bytes):
    """Adds one test unless it is out of scope; returns why it was not, or None."""
    nodes = test.model.graph.node
    if not {node.op_type for node in nodes} & OPERATORS and not test.model.functions:
        return "operator"
    if any(part in test.name for part in REFUSED):
        return "refused"
    if max(i.version for i in test.model.opset_import if i.domain == "") > MAX_OPSET:
        return "opset"
    if "_expanded" in test.name:
        return "operator"
    inputs, outputs = test.data_sets[0]
    if test.model.graph.node[0].op_type == "MaxPool":  # the indices are not computed
        outputs = outputs[:1]
    arrays = list(inputs) + list(outputs)
    if not all(isinstance(a, (np.ndarray, np.generic)) for a in arrays):
        return "not tensors"
    if any(a.dtype not in (np.float32, np.float64) for a in outputs):
        return "type"
    if sum(np.asarray(a).nbytes for a in arrays) > max_bytes:
        return "large"
    model = test.model
    kept, graph_inputs = [], list(model.graph.input)
    del model.graph.input[:], model.graph.output[len(outputs) :]
    for info, array in zip(graph_inputs, inputs):
        if array.dtype in (np.float32, np.float64):
            model.graph.input.append(info)
            kept.append(numpy_helper.from_array(np.asarray(array, np.float32), info.name))
        elif array.dtype in (np.int64, np.int32, np.bool_):
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), info.name))
        else:
            return "type"
    if not kept:
        return "no input"
    model.graph.ClearField("doc_string")
    case = cases.node.add(name=test.name)
    case.attribute.add(name="model", type=AttributeProto.STRING, s=model.SerializeToString())
    case.attribute.add(name="inputs", type=AttributeProto.TENSORS, tensors=kept)
    expected = [numpy_helper.from_array(np.asarray(a, np.float32), "expected") for a in outputs]
    case.attribute.add(name="outputs", type=AttributeProto.TENSORS, tensors=expected)
    return None


# Where PyTorch keeps the gates in another order than ONNX.
GATES = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN": [0]}


def weights_of(layer, kind, name):
    """One kind of weights of all directions, its gates in ONNX's order."""
    parts = []
    for suffix in ("", "_reverse"):
        gates = getattr(layer, f"{name}_l0{suffix}").detach().chunk(len(GATES[kind]))
        parts.append(torch.cat([gates[i] for i in GATES[kind]]).numpy())
    return np.stack(parts)


def recurrent_case(kind, layout):
    """A layer of PyTorch in both directions, with initial states, as one node."""
    torch.manual_seed(3)
    steps, rows, inputs, hidden = 4, 3, 2, 3
    layer = getattr(torch.nn, kind)(inputs, hidden, bidirectional=True, batch_first=layout == 1)
    x = torch.randn((rows, steps, inputs) if layout else (steps, rows, inputs))
    states = [torch.randn(2, rows, hidden) for _ in range(2 if kind == "LSTM" else 1)]
    with torch.no_grad():
        y, last = layer(x, tuple(states) if kind == "LSTM" else states[0])
    last = list(last) if kind == "LSTM" else [last]
    y = y.reshape(*y.shape[:2], 2, hidden)
    if layout:
        states = [s.transpose(0, 1) for s in states]
        last = [s.transpose(0, 1) for s in last]
    else:
        y = y.transpose(1, 2)
    bias = [weights_of(layer, kind, name) for name in ("bias_ih", "bias_hh")]
    arrays = {
        "x": x.numpy(),
        "w": weights_of(layer, kind, "weight_ih"),
        "r": weights_of(layer, kind, "weight_hh"),
        "b": np.concatenate(bias, axis=1),
        "h": states[0].numpy(),
    }
    if kind == "LSTM":
        arrays["c"] = states[1].numpy()
    outputs = dict(zip(("y", "y_h", "y_c"), [y.numpy()] + [s.numpy() for s in last]))
    attributes = {"hidden_size": hidden, "direction": "bidirectional", "layout": layout}
    if kind == "GRU":
        attributes["linear_before_reset"] = 1
    names = ["x", "w", "r", "b", "", "h"] + (["c"] if kind == "LSTM" else [])
    infos = [
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v.shape) for k, v in values.items()]
        for values in (arrays, outputs)
    ]
    node = helper.make_node(kind, names, list(outputs), **attributes)
    model = helper.make_model(
        helper.make_graph([node], kind, *infos), opset_imports=[helper.make_opsetid("", 22)]
    )
    return model, arrays, outputs


def add_recurrent_case(cases, kind, layout):
    model, arrays, outputs = recurrent_case(kind, layout)
    case = cases.node.add(name=f"torch_{kind.lower()}_both_directions_layout{layout}")
    case.attribute.add(name="model", type=AttributeProto.STRING, s=model.SerializeToString())
    for name, values in (("inputs", arrays), ("outputs", outputs)):
        tensors = [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in values.items()]
        case.attribute.add(name=name, type=AttributeProto.TENSORS, tensors=tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, metavar="FILE")
    parser.add_argument("--max_bytes", type=int, default=20000, help="of a case's tensors")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.random.seed(0)
    cases = GraphProto(name="node cases")
    names, left_out = set(), {}
    for test in collect_testcases(None):
        if test.name in names:
            continue
        reason = add_case(cases, test, options.max_bytes)
        if reason is None:
            names.add(test.name)
        elif reason != "operator":
            left_out.setdefault(reason, []).append(test.name)
    for kind in GATES:
        for layout in (0, 1):
            add_recurrent_case(cases, kind, layout)
    for reason, tests in left_out.items():
        print(f"left out, {reason}: {' '.join(tests)}")
    print(len(names), "cases")
    with open(options.out, "wb") as file:
        file.write(cases.SerializeToString())


if __name__ == "__main__":
    main()
