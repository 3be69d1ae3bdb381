#!/usr/bin/env python3
"""Writes tests/data/golden/architectures: every model of zoo.py with its golden values.

With --exporter torchscript (PyTorch 1.13 or later): OUT/NAME/{torchscript.onnx, config.pbtxt,
x.npy, energy.npy, grad.npy} and one CONTEXT.npy for each other input. With --exporter dynamo
(PyTorch 2.6 or later): OUT/NAME/dynamo.onnx, after checking that the weights, drawn from the same
seed, give the golden values that are there. Golden values are computed in double from the stored
weights. Names after the options limit what is written.

Two networks have the width of their publications: IGEBM's residual network (`igebm_resnet`, 128
filters, 5.1 million weights) and WRN-28-2 (`wrn_28_2`, 1.5 million). So that they stay small, each
of their weight tensors is rounded, before the golden values are computed, to multiples of a power
of two that are no larger than 127, and stored as int8 with a Cast and a Mul: 5.1 MB and 1.5 MB.
They are exported by TorchScript only. Golden values are of two states, those of 48 whose leaky
ReLUs are farthest from their kinks, where float32 would take one slope or the other. Both exporters
and float16 weights are covered by `igebm_narrow`, an eighth as wide.
"""

import argparse
import os
import warnings
import zlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from golden_files import check_golden, error, finish, grid, is_large, write_config, \
    write_values
from zoo import ZOO


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


def round_weights(module, stored):
    """To what `stored` can hold."""
    for tensor in module.parameters():
        values = tensor.detach().numpy()
        if stored == "float16":
            tensor.data = tensor.data.half().float()
        elif stored == "int8" and is_large(values):
            step = grid(values)
            tensor.data = torch.from_numpy(np.round(values / step) * step).float()


def away_from_kinks(module, states, rows):
    """The `rows` states whose leaky ReLUs are farthest from where their slope changes.

    Of a million of them some are so near to it in most states that rounding chooses the slope, and
    the gradient then differs by more than rounding.
    """
    margins = []
    original = functional.leaky_relu

    def record(x, slope):
        distances = x.abs().flatten(1)
        margins[-1] = torch.minimum(margins[-1], distances.min(1)[0] / distances.mean(1))
        return original(x, slope)

    functional.leaky_relu = record
    module.double()
    with torch.no_grad():
        for some in states.double().split(8):
            margins.append(torch.full((len(some),), float("inf"), dtype=torch.float64))
            module(some)
    module.float()
    functional.leaky_relu = original
    chosen = torch.cat(margins).argsort(descending=True)[:rows]
    return states[chosen].clone()


def build(name):
    """The module with its weights, and its inputs: the states first, then the context."""
    model = ZOO[name]
    torch.manual_seed(zlib.crc32(name.encode()))
    module = model.build()
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            layer.weight.data.mul_(model.gain)
    context = model.context(model.rows) if model.context else {}
    inputs = {"x": torch.randn(model.draws or model.rows, *model.shape), **context}
    settle(module, tuple(values[:model.rows] for values in inputs.values()))
    round_weights(module, model.stored)
    if model.draws:
        inputs["x"] = away_from_kinks(module, inputs["x"], model.rows)
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


def golden(name, module, inputs):
    """Golden energies and gradients in float32; refuses what float32 cannot resolve."""
    family = ZOO[name].family
    rough = evaluate(module, inputs, family, torch.float32)
    exact = evaluate(module, inputs, family, torch.float64)
    module.float()
    return check_golden(name, rough, exact)


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
    finish(path, model.stored)
    write_golden(name, folder, module, inputs)


def write_golden(name, folder, module, inputs):
    """Everything but the exported file."""
    model = ZOO[name]
    energy, gradient = golden(name, module, inputs)
    context = {key: value.to(torch.int64) if value.dtype == torch.bool else value
               for key, value in inputs.items()}
    write_values(folder, {**context, "energy": energy, "grad": gradient})
    more = [f'context {{ name: "{key}" min_value: {least} max_value: {largest} }}'
            for key, (least, largest) in model.bounds.items()]
    if model.max_tile_rows:
        more.append(f"limits {{ max_tile_rows: {model.max_tile_rows} }}")
    write_config(folder, model.family, model.shape, more)


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
    finish(path, model.stored)


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
