#!/usr/bin/env python3
"""Checks that every #include points up the list of layers, never down.

Folder order is call order: a folder may include itself and what stands above
it in LAYERS. core/ includes neither gRPC nor Prometheus, protobuf only where
it reads files, and client/ includes neither core/ nor server/. Also checks
that every source file is built.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

LAYERS = [
    "core/base",
    "core/tensor",
    "core/graph",
    "core/onnx",
    "core/backend",
    "core/model",
    "core/sampler",
    "core/replay",
    "core/ood",
    "core/scheduler",
    "server",
    "tests",
]
# Folders that stand beside the list: what they may include of the project.
BESIDE = {"client": ("client", "basin/v1")}
# Angle-bracket prefixes, and the only folders of core/ and client/ that may
# use them.
RESTRICTED = {
    "grpcpp/": ("client",),
    "grpc/": ("client",),
    "prometheus/": (),
    "google/protobuf/": ("core/onnx", "core/model", "client"),
    "dnnl": ("core/backend",),
    "onnx/": ("core/onnx",),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def layer_of(path):
    """The entry of LAYERS that `path`, relative to the root, belongs to."""
    for layer in LAYERS:
        if path == layer or path.startswith(layer + "/"):
            return layer
    return None


def forbidden(source, target):
    """Why `source` may not include `target`; None if it may."""
    for prefix, folders in RESTRICTED.items():
        limited = source.startswith(("core/", "client/"))
        if limited and target.startswith(prefix):
            if not source.startswith(tuple(f + "/" for f in folders)):
                return f"{prefix} is not for this folder"
    for folder, allowed in BESIDE.items():
        if source.startswith(folder + "/"):
            ours = layer_of(target) is not None
            return f"{folder}/ never includes it" if ours else None
    layer, included = layer_of(source), layer_of(target)
    if layer is None or included is None:
        return None
    if LAYERS.index(included) > LAYERS.index(layer):
        return f"{layer} stands above {included}"
    return None


def check(path):
    """Yields the violations of one file."""
    source = path.relative_to(ROOT).as_posix()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        reason = match and forbidden(source, match.group(2))
        if reason:
            yield f"{source}:{number}: #include {match.group(2)}: {reason}"


def unbuilt(path):
    """Yields a violation if no CMakeLists.txt at or above `path` names it."""
    stem = path.stem.removesuffix("_test")
    for folder in path.parents:
        lists = folder / "CMakeLists.txt"
        if lists.exists() and re.search(rf"\b{re.escape(stem)}",
                                        lists.read_text()):
            return
        if folder == ROOT:
            yield f"{path.relative_to(ROOT)}: no CMakeLists.txt names it"
            return


def main():
    violations, files = [], 0
    for folder in ("core", "server", "client", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".cu"):
                files += 1
                violations += check(path)
            if path.suffix == ".cc":
                violations += unbuilt(path)
    print("\n".join(violations), end="\n" if violations else "")
    print(f"layers: {files} files, {len(violations)} violations")
    return 1 if violations or not files else 0


if __name__ == "__main__":
    sys.exit(main())
