#!/usr/bin/env bash
# Measures Basin and prints one table: figure, bar, whether it holds.
#
#   tests/benchmarks/run.sh [--quick] [--pytorch PYTHON]
#
#   --quick           5 seconds of overload instead of 30
#   --pytorch PYTHON  an interpreter with a current PyTorch, measured beside
#                     Debian's (/usr/bin/python3 with python3-torch)
#
# Needs tests/run.sh, or a build in build/, before. Every figure is a ratio of
# two things measured in this run, or a bound; absolute rates are printed for
# orientation only. Let nothing else run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."

overload=30 current=
while (($#)); do
  case "$1" in
    --quick) overload=5 ;;
    --pytorch)
      current="${2:?--pytorch needs an interpreter}"
      shift
      ;;
    -h | --help)
      sed -n '2,12s/^# \{0,1\}//p' "$0"
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
cmake --build build --target engine_benchmark server_benchmark basin_server -- --quiet

results="$(mktemp -d)"
trap 'rm -r "$results"' EXIT
echo "Measuring in process ..." >&2
build/bin/engine_benchmark >"$results/engine"
if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
  echo "Measuring Debian's PyTorch ..." >&2
  /usr/bin/python3 tests/benchmarks/pytorch_mlp.py >"$results/debian_pytorch"
fi
if [[ $current ]]; then
  echo "Measuring the other PyTorch ..." >&2
  "$current" tests/benchmarks/pytorch_mlp.py >"$results/current_pytorch"
fi
echo "Measuring through gRPC ..." >&2
build/bin/server_benchmark "$overload" >"$results/server"
python3 tests/benchmarks/table.py "$results"
