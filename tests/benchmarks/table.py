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


def pytorch_rows(folder, name, label, bar):
    """Against PyTorch as it comes, and with its best settings."""
    engine = float(read(folder, "engine")["engine_steps_per_second_2_workers"])
    runs = [read(folder, name + suffix)
            for suffix in ("", "_one_thread", "_passive")]
    if not runs[0]:
        yield f"against {label}", None, bar, "not installed"
        return
    rates = [float(run["pytorch_steps_per_second"]) for run in runs]
    label = f"against {label} {runs[0]['pytorch_version']}"
    yield f"{label}, default settings", engine / rates[0], bar, "x"
    yield f"{label}, its best settings", engine / max(rates), bar, "x"


ARCHITECTURES = (
    ("mnist_conv", "convolutional MNIST energy, 64 rows", 2),
    ("wrn_28_2", "WRN-28-2, 16 rows", 1.3),
    ("transformer", "transformer energy, 16 rows", 1.3))


def architecture_rows(folder, name, label, has_bars):
    """Energies and gradients of architectures.py against PyTorch's best settings."""
    runs = [read(folder, f"{name}_architectures{suffix}")
            for suffix in ("", "_one_thread", "_passive")]
    engine = read(folder, "architectures")
    for key, what, bound in ARCHITECTURES:
        bar = (">=", bound) if has_bars else None
        if not engine or not runs[0]:
            yield f"{what}, against {label}", None, bar, "not installed"
            continue
        rates = [float(run[f"{key}_rows_per_second"]) for run in runs]
        figure = float(engine[f"{key}_rows_per_second"]) / max(rates)
        yield f"{what}, against {label}", figure, bar, "x"


def bfloat16_rows(folder):
    """The MLP with 64 rows and one worker; the bar is for processors with AMX."""
    values = read(folder, "architectures")
    if "mlp_bf16_error" not in values:
        return
    has_amx = "amx_bf16" in pathlib.Path("/proc/cpuinfo").read_text()
    ratio = (float(values["mlp_bf16_rows_per_second_1_worker"])
             / float(values["mlp_rows_per_second_1_worker"]))
    yield ("BF16 over FLOAT32, MLP, 64 rows", ratio, (">=", 3.2) if has_amx else None, "x")
    yield ("its largest energy error, of the energies' deviation",
           float(values["mlp_bf16_error"]), None, "")


def logistic_rows(folder):
    """HMC and MALA on a logistic-regression posterior against BlackJAX."""
    values = read(folder, "logistic")
    for name in ("hmc", "mala"):
        label = f"{name.upper()}, logistic regression: gradients/s against BlackJAX"
        if not values:
            yield label, None, (">=", 1.5), "not installed"
            continue
        yield (f"{label} {values['blackjax_version']}",
               float(values[f"{name}_over_jax"]), (">=", 1.5), "x")
        for who, whose in (("basin", "Basin's"), ("jax", "BlackJAX's")):
            yield (f"{whose} gradient evaluations/s",
                   float(values[f"{name}_{who}_gradients_per_second"]), None, "")
            yield (f"{whose} effective samples/s (bulk, least coordinate)",
                   float(values[f"{name}_{who}_ess_per_second"]), None, "")


def rows(folder):
    """(what, figure, bar, unit); a bar is (">=" or "<=", bound) or None."""
    engine, server = read(folder, "engine"), read(folder, "server")
    load = read(folder, "load")
    discrete = read(folder, "discrete")
    transitions = read(folder, "transitions")
    yield from pytorch_rows(folder, "debian_pytorch", "Debian's PyTorch",
                            (">=", 2.5))
    yield from pytorch_rows(folder, "current_pytorch", "another PyTorch", None)
    yield from architecture_rows(folder, "debian_pytorch", "Debian's PyTorch", True)
    if (folder / "current_pytorch").exists():
        yield from architecture_rows(folder, "current_pytorch", "the other", False)
    yield from bfloat16_rows(folder)
    yield from logistic_rows(folder)
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
            (server, "overload_refusal_ms_p99", "their 99th percentile",
             ("<=", 5), "ms"),
            (load, "load_seconds", "loading a model of 96 MiB of weights",
             ("<=", 5), "s"),
            (load, "load_resident_ratio", "its resident memory over its weights",
             ("<=", 2.3), "x"),
            (transitions, "normals_per_second_v3",
             "normals of one core with AVX2", (">=", 250e6), "/s"),
            *((transitions, f"overhead_{name}",
               f"{name} beside the energies, D = 784: share of a step",
               ("<=", 0.1), "")
              for name in ("ula", "mala", "random_walk", "igebm", "jem", "hmc",
                           "underdamped", "underdamped_metropolis", "minimize",
                           "delayed_acceptance")),
            (discrete, "rbm_unit_updates_per_second",
             "RBM 784 x 500, block Gibbs, 100 chains: unit updates",
             (">=", 120e6), "/s"),
            (discrete, "rbm_share_of_product_bound",
             "its share of the bare float32 products", None, ""),
            (discrete, "ising_flips_per_ns",
             "Ising 256 x 256, heat bath, 64 chains: spin flips",
             (">=", 0.5), "/ns"),
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
    print("64 chains of ULA on an MLP 784-512-512-1, 2 cores\n")
    print(f"{'what':<66} {'figure':>18} {'bar':>8}")
    for what, figure, bar, unit in rows(folder):
        shown = unit if figure is None else f"{figure:,.4g} {unit}"
        bound = f"{bar[0]} {bar[1]}" if bar else ""
        print(f"{what:<66} {shown:>18} {bound:>8}  {verdict(figure, bar)}")


if __name__ == "__main__":
    main()
