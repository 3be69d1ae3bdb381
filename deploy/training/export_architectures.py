#!/usr/bin/env python3
"""Writes tests/data/golden/architectures: every model of zoo.py with its golden values.

With --exporter torchscript (PyTorch 1.13 or later): OUT/NAME/{torchscript.onnx, config.pbtxt,
x.npy, energy.npy, grad.npy} and one CONTEXT.npy for each other input. With --exporter dynamo
(PyTorch 2.6 or later): OUT/NAME/dynamo.onnx, after checking that the weights, drawn from the same
seed, give the golden values that are there. Golden values are computed in double from the stored
weights. Names after the options limit what is written.
"""

import argparse
import os
import warnings
import zlib

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from zoo import ZOO

ROWS = 4
MAX_BYTES = 1_500_000
# Float32 in PyTorch itself must be this near to the golden values.
CONDITION = 2e-5


def settle(module, inputs):
    """Lets running statistics and the power iterations of spectral norms settle."""
    module.train()
    with torch.no_grad():
        for _ in range(30):
            module(*inputs)
    module.eval()
    for layer in module.modules():
        # These have a fused path in evaluation mode that cannot be exported.
        if isinstance(layer, (nn.MultiheadAttention, nn.TransformerEncoderLayer)):
            layer.training = True
    return module


def build(name):
    """The module with its weights, and its inputs: the states first, then the context."""
    model = ZOO[name]
    torch.manual_seed(zlib.crc32(name.encode()))
    module = model.build()
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            layer.weight.data.mul_(model.gain)
    context = model.context(ROWS) if model.context else {}
    inputs = {"x": torch.randn(ROWS, *model.shape), **context}
    settle(module, tuple(inputs.values()))
    if model.half:
        for tensor in module.parameters():
            tensor.data = tensor.data.half().float()
    return module, inputs


def evaluate(module, inputs, family, dtype):
    """Energies and gradients, computed in `dtype`."""
    module = module.to(dtype)
    x, *context = [v.to(dtype) if v.is_floating_point() else v for v in inputs.values()]
    x = x.clone().requires_grad_(True)
    output = module(x, *context)
    energy = -torch.logsumexp(output, 1) if family == "CLASSIFIER" else output
    gradient = torch.autograd.grad(energy.sum(), x)[0]
    return energy.detach().double().numpy(), gradient.double().numpy()


def error(found, expected):
    """The largest difference, relative to the largest value of a row's gradient or of all."""
    rows = expected.reshape(len(expected), -1) if expected.ndim > 1 else expected[None]
    difference = np.abs(found - expected).reshape(rows.shape).max(1)
    return float((difference / np.abs(rows).max(1)).max())


def golden(name, module, inputs):
    """Golden energies and gradients in float32; refuses what float32 cannot resolve."""
    family = ZOO[name].family
    rough = evaluate(module, inputs, family, torch.float32)
    exact = evaluate(module, inputs, family, torch.float64)
    module.float()
    errors = [error(a, b) for a, b in zip(rough, exact)]
    if not max(errors) <= CONDITION:
        raise ValueError(f"{name}: float32 differs from float64 by {errors}")
    if np.abs(exact[1]).max() < 1e-3 or np.ptp(exact[0]) < 1e-3:
        raise ValueError(f"{name}: a flat energy shows nothing: {exact[0]}")
    return [np.ascontiguousarray(v, np.float32) for v in exact]


def store_in_half(model):
    """Stores the weights in float16, each with a Cast to float32."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values, used = numpy_helper.to_array(tensor), tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), used + ".half"))
            casts.append(helper.make_node("Cast", [used + ".half"], [used],
                                          to=onnx.TensorProto.FLOAT))
    nodes = casts + list(model.graph.node)
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


def finish(path, half):
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
    if half:
        store_in_half(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    if os.path.getsize(path) > MAX_BYTES:
        raise ValueError(f"{path}: {os.path.getsize(path)} bytes")


def write_torchscript(name, folder, module, inputs):
    model = ZOO[name]
    path = os.path.join(folder, "torchscript.onnx")
    output = "logits" if model.family == "CLASSIFIER" else "energy"
    mode = torch.onnx.TrainingMode.PRESERVE
    extra = {"dynamo": False} if torch.__version__ >= "2" else {}
    if model.functions:
        extra["export_modules_as_functions"] = set(model.functions)
    torch.onnx.export(module, tuple(inputs.values()), path, opset_version=model.opset,
                      training=mode, input_names=list(inputs), output_names=[output],
                      dynamic_axes={key: {0: "N"} for key in [*inputs, output]}, **extra)
    finish(path, model.half)
    write_golden(name, folder, module, inputs)


def write_golden(name, folder, module, inputs):
    """Everything but the exported file."""
    model = ZOO[name]
    energy, gradient = golden(name, module, inputs)
    context = {key: value.to(torch.int64) if value.dtype == torch.bool else value
               for key, value in inputs.items()}
    for key, value in {**context, "energy": energy, "grad": gradient}.items():
        np.save(os.path.join(folder, f"{key}.npy"), np.asarray(value))
    with open(os.path.join(folder, "config.pbtxt"), "w", encoding="ascii") as config:
        shape = ", ".join(map(str, model.shape))
        config.write(f'family: {model.family}\ninput {{ name: "x" shape: [{shape}] }}\n')
        for key, (least, largest) in model.bounds.items():
            config.write(f'context {{ name: "{key}" min_value: {least} max_value: {largest} }}\n')


def write_dynamo(name, folder, module, inputs):
    model = ZOO[name]
    path = os.path.join(folder, "dynamo.onnx")
    if not model.opset:
        write_golden(name, folder, module, inputs)
    energy, gradient = golden(name, module, inputs)
    for key, value in {"energy": energy, "grad": gradient}.items():
        if error(value, np.load(os.path.join(folder, f"{key}.npy"))) > 1e-6:
            raise ValueError(f"{name}: other weights than those of the golden {key}")
    output = "logits" if model.family == "CLASSIFIER" else "energy"
    rows = torch.export.Dim("N", min=1, max=4096)
    program = torch.onnx.export(
        module, tuple(inputs.values()), dynamo=True, opset_version=model.dynamo,
        input_names=list(inputs), output_names=[output],
        dynamic_shapes=tuple({0: rows} for _ in inputs), verbose=False)
    program.save(path, external_data=False)
    finish(path, model.half)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the golden files")
    parser.add_argument("--exporter", choices=("torchscript", "dynamo"), required=True)
    parser.add_argument("names", nargs="*", help="models to write (default: all)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    failed = []
    for name in options.names or ZOO:
        opset = ZOO[name].opset if options.exporter == "torchscript" else ZOO[name].dynamo
        if not opset:
            continue
        module, inputs = build(name)
        folder = os.path.join(options.out, name)
        os.makedirs(folder, exist_ok=True)
        write = write_torchscript if options.exporter == "torchscript" else write_dynamo
        try:
            write(name, folder, module, inputs)
            print(f"{name}: opset {opset}", flush=True)
        except Exception as problem:  # pylint: disable=broad-except
            failed.append(name)
            print(f"{name}: FAILED: {type(problem).__name__}: {problem}"[:800], flush=True)
    if failed:
        raise SystemExit(f"not written: {' '.join(failed)}")


if __name__ == "__main__":
    main()
