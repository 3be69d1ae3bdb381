#!/usr/bin/env python3
"""Prints the table of tests/benchmarks/run.sh from the files in a folder,
each of lines "name<TAB>value"."""

import pathlib
import sys


def read(folder, name):
    """The values of one program; empty if it did not run."""
    path = folder / name
    if not path.exists():
        return {}
    return dict(line.split("\t") for line in path.read_text().splitlines())


def pytorch_row(label, bar, engine, pytorch):
    if not pytorch:
        return (label, None, bar, "not installed")
    ratio = (float(engine["engine_steps_per_second_2_workers"])
             / float(pytorch["pytorch_steps_per_second"]))
    return (f"{label} {pytorch['pytorch_version']}", ratio, bar, "x")


def rows(folder):
    """(what, figure, bar, unit); a bar is (">=" or "<=", bound) or None."""
    engine, server = read(folder, "engine"), read(folder, "server")
    yield pytorch_row("64 chains of ULA, MLP 784-512-512-1, against Debian's "
                      "PyTorch", (">=", 2.5), engine,
                      read(folder, "debian_pytorch"))
    yield pytorch_row("the same against the other PyTorch", None, engine,
                      read(folder, "current_pytorch"))
    for values, name, what, bar, unit in (
            (engine, "engine_over_bare_onednn",
             "engine time over the bare oneDNN products", ("<=", 1.3), "x"),
            (engine, "workers_1_to_2", "1 -> 2 workers", (">=", 1.8), "x"),
            (server, "grpc_over_in_process",
             "64 chains x 1,000 steps through gRPC over in process",
             (">=", 0.95), "x"),
            (server, "clients_32x1_over_1x32",
             "32 clients x 1 chain over 1 client x 32 chains", (">=", 0.8), "x"),
            (server, "score_p99_quanta",
             "p99 of single-row Score while sampling saturates", ("<=", 5),
             "quanta"),
            (server, "score_p50_quanta", "its median", None, "quanta"),
            (server, "overload_resident_growth_mib",
             "resident memory after 10x overload", ("<=", 64), "MiB more"),
            (server, "overload_refusal_ms_p50",
             "refused requests answered in, median", ("<=", 5), "ms"),
            (server, "overload_refusal_ms_p99", "their 99th percentile", None,
             "ms"),
            (engine, "engine_steps_per_second_1_worker",
             "chain-steps/s, 1 worker", None, ""),
            (engine, "engine_steps_per_second_2_workers",
             "chain-steps/s, 2 workers", None, "")):
        yield what, float(values[name]), bar, unit


def verdict(figure, bar):
    if bar is None:
        return ""
    if figure is None:
        return "not measured"
    sign, bound = bar
    holds = figure >= bound if sign == ">=" else figure <= bound
    return "holds" if holds else "FALLS SHORT"


def main():
    folder = pathlib.Path(sys.argv[1])
    print(f"{'what':<66} {'figure':>18} {'bar':>8}")
    for what, figure, bar, unit in rows(folder):
        shown = unit if figure is None else f"{figure:,.4g} {unit}"
        bound = f"{bar[0]} {bar[1]}" if bar else ""
        print(f"{what:<66} {shown:>18} {bound:>8}  {verdict(figure, bar)}")


if __name__ == "__main__":
    main()
