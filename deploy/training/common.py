"""Helpers shared by the training, export and fixture scripts.

Sign convention everywhere: E(x) is an energy, low = probable.
Images are float32 in [0, 1] with shape [n, 1, 28, 28].
"""

import gzip
import os
import warnings

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image

FASHION_DIR = "/usr/share/datasets/fashion-mnist"  # Debian package dataset-fashion-mnist
OPSET = 13
MAX_ONNX_BYTES = 3 * 1024 * 1024
ALLOWED_OPS = frozenset(
    """Gemm MatMul Conv Add Sub Mul Div Neg Pow Exp Log Sqrt Abs Relu LeakyRelu Elu Softplus
    Sigmoid Tanh Erf Clip Softmax LogSoftmax ReduceSum ReduceMean ReduceMax ReduceLogSumExp
    AveragePool MaxPool GlobalAveragePool BatchNormalization LayerNormalization Flatten Reshape
    Transpose Squeeze Unsqueeze Concat Slice Gather Shape Constant ConstantOfShape Cast Identity
    Dropout""".split()
)


def add_data_arguments(parser):
    """Adds --data and --fashion, the two data-set folders."""
    parser.add_argument("--data", required=True, metavar="DIR",
                        help="folder with the four MNIST *-ubyte.gz files")
    parser.add_argument("--fashion", default=FASHION_DIR, metavar="DIR",
                        help="folder with the Fashion-MNIST *-ubyte.gz files (default: %(default)s)")


def add_recipe_arguments(parser):
    """Adds the parameters of the IGEBM transition (see igebm_steps)."""
    parser.add_argument("--step-size", type=float, default=2.5, help="IGEBM step size")
    parser.add_argument("--noise-std", type=float, default=0.0025,
                        help="std. deviation of the IGEBM noise, in pixel units [0, 1]")
    parser.add_argument("--gradient-clip", type=float, default=0.06,
                        help="IGEBM bound on each |dE/dx_i|")


def read_idx(path):
    """Reads a gzipped IDX file of unsigned bytes into a uint8 array."""
    with gzip.open(path, "rb") as stream:
        raw = stream.read()
    if raw[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, dtype=">u4", count=rank, offset=4).astype(int)
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_uint8(folder, split):
    """Images of split "train" or "t10k" as uint8 [n, 1, 28, 28]."""
    return read_idx(os.path.join(folder, f"{split}-images-idx3-ubyte.gz"))[:, None]


def load_images(folder, split):
    """Images of split "train" or "t10k" as a float32 tensor in [0, 1]."""
    return torch.from_numpy(load_uint8(folder, split).astype(np.float32) / 255.0)


def load_labels(folder, split):
    """Labels of split "train" or "t10k" as an int64 tensor [n]."""
    return torch.from_numpy(
        read_idx(os.path.join(folder, f"{split}-labels-idx1-ubyte.gz")).astype(np.int64))


def in_batches(function, images, size=500):
    """function(images), evaluated without gradients in batches of `size` rows."""
    with torch.no_grad():
        return torch.cat([function(part) for part in images.split(size)])


def auroc(inlier_energy, outlier_energy):
    """Probability that an outlier has a higher energy than an inlier (ties count one half)."""
    inlier, outlier = np.sort(np.asarray(inlier_energy)), np.asarray(outlier_energy)
    below = np.searchsorted(inlier, outlier, side="left")
    not_above = np.searchsorted(inlier, outlier, side="right")
    return float((below + not_above).mean() / (2 * len(inlier)))


def report_energies(energy, options):
    """Prints AUROCs of the MNIST test set against out-of-distribution images."""
    inlier = in_batches(energy, load_images(options.data, "t10k"))
    fashion = in_batches(energy, load_images(options.fashion, "t10k"))
    noise = in_batches(energy, torch.rand(2000, 1, 28, 28))
    print(f"AUROC against Fashion-MNIST test {auroc(inlier, fashion):.4f}, "
          f"uniform noise {auroc(inlier, noise):.4f}")
    print("MNIST test energies, quantiles 1/50/99 %:",
          [round(float(q), 4) for q in np.quantile(inlier, [0.01, 0.5, 0.99])])
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = energy(torch.full((1, 1, 28, 28), level))
        print(f"constant image {level:.2f}: energy {float(value):.4f}, higher than that of "
              f"{100 * auroc(inlier, value.detach()):.1f} % of the MNIST test images")


def classifier_energy(classifier):
    """The energy of a classifier: E(x) = -logsumexp(logits(x))."""
    return lambda x: -torch.logsumexp(classifier(x), 1)


def energy_gradient(energy, x):
    """dE/dx, row by row."""
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(energy(x).sum(), x)[0]


def igebm_steps(energy, x, steps, recipe):
    """`steps` transitions of the IGEBM recipe on [0, 1], exactly as the server runs it.

    Each one, in this order: add noise; clip each entry of dE/dx at the noisy point; descend;
    clamp to the domain. `recipe` has step_size, noise_std and gradient_clip.
    """
    for _ in range(steps):
        x = x + recipe.noise_std * torch.randn_like(x)
        gradient = energy_gradient(energy, x)
        gradient.clamp_(-recipe.gradient_clip, recipe.gradient_clip)
        x = (x - recipe.step_size * gradient).clamp_(0.0, 1.0)
    return x


def samples_from_noise(energy, count, stages, recipe):
    """Chains from uniform noise after each of the rising step counts in `stages`."""
    chains, done, result = torch.rand(count, 1, 28, 28), 0, []
    for steps in stages:
        chains = igebm_steps(energy, chains, steps - done, recipe)
        result.append(chains)
        done = steps
    return result


def save_grid(path, images, columns=8, zoom=2):
    """Writes images [n, 1, h, w] in [0, 1] as one grey PNG, row by row."""
    count, _, height, width = images.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + 2), columns * (width + 2)), 96, dtype=np.uint8)
    for i, image in enumerate(images[:, 0].numpy()):
        top, left = (i // columns) * (height + 2), (i % columns) * (width + 2)
        canvas[top:top + height, left:left + width] = np.rint(image * 255)
    size = (canvas.shape[1] * zoom, canvas.shape[0] * zoom)
    Image.fromarray(canvas).resize(size, Image.NEAREST).save(path)


def with_weights_of(module, path):
    """The module with the initialisers of the ONNX file as its parameters."""
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy())
               for t in onnx.load(path).graph.initializer}
    module.load_state_dict(tensors)
    return module


def export_onnx(module, example, output, path, opset=OPSET):
    """Exports module with input "x" [N, ...] and one output; checks its ops and its size.

    The mode is "preserve" so that batch normalisation is not fused into convolutions.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    warnings.filterwarnings("ignore", message=".*constant folding be turned off.*")
    torch.onnx.export(module.eval().float(), example.float(), path, opset_version=opset,
                      training=torch.onnx.TrainingMode.PRESERVE,
                      input_names=["x"], output_names=[output],
                      dynamic_axes={"x": {0: "N"}, output: {0: "N"}})
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    foreign = {node.op_type for node in model.graph.node} - ALLOWED_OPS
    if foreign:
        raise ValueError(f"{path}: ops outside the supported set: {sorted(foreign)}")
    if os.path.getsize(path) > MAX_ONNX_BYTES:
        raise ValueError(f"{path}: larger than {MAX_ONNX_BYTES} bytes")
