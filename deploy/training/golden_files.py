"""Golden files of tests/data/golden/architectures, whichever framework they come from."""

import os

import numpy as np
import onnx
from onnx import helper, numpy_helper

MAX_BYTES = 5_300_000
# Float32 in the framework itself must be this near to the golden values.
CONDITION = 2e-5


def grid(values):
    """The power of two of which `values` are at most 127 multiples."""
    return 2.0 ** np.ceil(np.log2(max(np.abs(values).max(), 1e-30) / 127))


def is_large(tensor):
    """Whether it is worth to be stored in less than float32."""
    return tensor.ndim > 1 and tensor.size > 256


def error(found, expected):
    """The largest difference, relative to the largest value of a row's gradient or of all."""
    rows = expected.reshape(len(expected), -1) if expected.ndim > 1 else expected[None]
    difference = np.abs(found - expected).reshape(rows.shape).max(1)
    return float((difference / np.abs(rows).max(1)).max())


def check_golden(name, rough, exact):
    """Golden values, energies and gradients, in float32 of those in double, `exact`.

    Refuses what float32 cannot resolve: `rough` is what the framework computes in it.
    """
    errors = [error(a, b) for a, b in zip(rough, exact)]
    if not max(errors) <= CONDITION:
        raise ValueError(f"{name}: float32 differs from float64 by {errors}")
    if np.abs(exact[1]).max() < 1e-3 or np.ptp(exact[0]) < 1e-3:
        raise ValueError(f"{name}: a flat energy shows nothing: {exact[0]}")
    return [np.ascontiguousarray(v, np.float32) for v in exact]


def write_values(folder, values):
    """Each of them as NAME.npy."""
    for name, value in values.items():
        np.save(os.path.join(folder, f"{name}.npy"), np.asarray(value))


def write_config(folder, family, shape, more=()):
    """The model's configuration; `more` are further lines."""
    lines = [f"family: {family}", f'input {{ name: "x" shape: [{", ".join(map(str, shape))}] }}']
    with open(os.path.join(folder, "config.pbtxt"), "w", encoding="ascii") as config:
        config.writelines(f"{line}\n" for line in [*lines, *more])


def share(model):
    """Keeps one of the weights that have equal bytes; the others become a Reshape of it."""
    kept, nodes = {}, []
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        if not is_large(values):
            continue
        first = kept.setdefault(values.tobytes(), tensor.name)
        if first == tensor.name:
            continue
        shape = tensor.name + ".shape"
        nodes.append(helper.make_node("Reshape", [first, shape], [tensor.name]))
        tensor.CopyFrom(numpy_helper.from_array(np.array(values.shape, np.int64), shape))
    return nodes


def store(model, stored):
    """Stores the weights that are exact in that type so, each with what makes it float32 again."""
    reshapes = share(model)
    nodes, steps = [], []
    for tensor in model.graph.initializer:
        values, used = numpy_helper.to_array(tensor), tensor.name
        if tensor.data_type != onnx.TensorProto.FLOAT or not is_large(values):
            continue
        step = np.float32(grid(values) if stored == "int8" else 1)
        narrow = (values / step).astype(stored)
        if not np.array_equal(narrow.astype(np.float32) * step, values):
            continue
        tensor.CopyFrom(numpy_helper.from_array(narrow, f"{used}.{stored}"))
        wide = used if step == 1 else used + ".wide"
        nodes.append(helper.make_node("Cast", [f"{used}.{stored}"], [wide],
                                      to=onnx.TensorProto.FLOAT))
        if step != 1:
            steps.append(numpy_helper.from_array(step, used + ".step"))
            nodes.append(helper.make_node("Mul", [wide, used + ".step"], [used]))
    model.graph.initializer.extend(steps)
    nodes += reshapes + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def strip(graph):
    """Removes what exporters note about their own machine: stack traces, comments."""
    for item in [graph, *graph.node, *graph.input, *graph.output, *graph.value_info,
                 *graph.initializer]:
        item.doc_string = ""
        if hasattr(item, "metadata_props"):
            del item.metadata_props[:]
    del graph.value_info[:]


def finish(path, stored):
    """Makes the exported file small and free of traces, and checks it."""
    model = onnx.load(path)
    strip(model.graph)
    for function in model.functions:
        function.doc_string = ""
        for node in function.node:
            node.doc_string = ""
            if hasattr(node, "metadata_props"):
                del node.metadata_props[:]
    if hasattr(model, "metadata_props"):
        del model.metadata_props[:]
    if stored != "float32":
        store(model, stored)
    # tf2onnx writes Erfc, which ONNX does not have.
    if all(node.op_type != "Erfc" for node in model.graph.node):
        onnx.checker.check_model(model)
    onnx.save(model, path)
    if os.path.getsize(path) > MAX_BYTES:
        raise ValueError(f"{path}: {os.path.getsize(path)} bytes")
