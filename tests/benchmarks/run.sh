#!/usr/bin/env bash
# Measures Basin and prints one table: figure, bar, whether it holds.
#
#   tests/benchmarks/run.sh [--quick] [--pytorch PYTHON] [--jax PYTHON]
#
#   --quick           5 seconds of overload instead of 30
#   --pytorch PYTHON  an interpreter with a current PyTorch, measured beside
#                     Debian's (/usr/bin/python3 with python3-torch)
#   --jax PYTHON      one with jax, blackjax and scipy (pip install jax blackjax),
#                     for HMC and MALA; without it they are not compared
#
# Needs what deploy/packages.sh install build test benchmark installs. Every figure is a ratio of
# two things measured in this run, or a bound; absolute rates are printed for
# orientation only. Let nothing else run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."

overload=30 current= jax=python3
while (($#)); do
  case "$1" in
    --quick) overload=5 ;;
    --pytorch)
      current="${2:?--pytorch needs an interpreter}"
      shift
      ;;
    --jax)
      jax="${2:?--jax needs an interpreter}"
      shift
      ;;
    -h | --help)
      sed -n '2,15s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *)
      echo "tests/benchmarks/run.sh: unknown argument '$1'; see --help" >&2
      exit 2
      ;;
  esac
  shift
done

cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build --target engine_benchmark discrete_benchmark architecture_benchmark load_benchmark logistic_benchmark transition_benchmark server_benchmark \
  basin_server -- --quiet

results="$(mktemp -d)"
trap 'rm -r "$results"' EXIT
echo "Measuring in process ..." >&2
build/bin/engine_benchmark >"$results/engine"
build/bin/discrete_benchmark >"$results/discrete"
build/bin/transition_benchmark >"$results/transitions"
build/bin/load_benchmark >"$results/load"
if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
  /usr/bin/python3 -W ignore tests/benchmarks/architectures.py export "$results/models" >/dev/null
  build/bin/architecture_benchmark "$results/models" >"$results/architectures"
fi
# measure_pytorch NAME PYTHON: as it comes, and with the settings that may
# suit it better: one thread, or threads that do not spin.
measure_pytorch() {
  "$2" tests/benchmarks/pytorch_mlp.py >"$results/$1"
  OMP_NUM_THREADS=1 "$2" tests/benchmarks/pytorch_mlp.py 1 \
    >"$results/$1_one_thread"
  OMP_WAIT_POLICY=passive "$2" tests/benchmarks/pytorch_mlp.py "$(nproc)" \
    >"$results/$1_passive"
  "$2" tests/benchmarks/architectures.py time >"$results/$1_architectures"
  OMP_NUM_THREADS=1 "$2" tests/benchmarks/architectures.py time 1 \
    >"$results/$1_architectures_one_thread"
  OMP_WAIT_POLICY=passive "$2" tests/benchmarks/architectures.py time "$(nproc)" \
    >"$results/$1_architectures_passive"
}
if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
  echo "Measuring Debian's PyTorch ..." >&2
  measure_pytorch debian_pytorch /usr/bin/python3
fi
if [[ $current ]]; then
  echo "Measuring the other PyTorch ..." >&2
  measure_pytorch current_pytorch "$current"
fi
if "$jax" -c 'import blackjax, scipy' 2>/dev/null && /usr/bin/python3 -c 'import onnx' 2>/dev/null; then
  echo "Measuring BlackJAX ..." >&2
  /usr/bin/python3 tests/benchmarks/logistic_model.py "$results/logistic_model"
  "$jax" tests/benchmarks/logistic_jax.py build/bin/logistic_benchmark "$results/logistic_model" >"$results/logistic"
else
  echo "Not comparing with BlackJAX: '$jax' has no blackjax (see --jax), or /usr/bin/python3 no onnx" >&2
fi
echo "Measuring through gRPC ..." >&2
build/bin/server_benchmark "$overload" >"$results/server"
python3 tests/benchmarks/table.py "$results"
