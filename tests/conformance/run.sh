#!/usr/bin/env bash
# Prints how Basin agrees with others: ONNX's own tests (passed, failed, not
# in scope and why), and energies and gradients of exported architectures
# against the framework they come from: PyTorch, JAX or Keras.
#
#   tests/conformance/run.sh [--build DIR] [--verbose]
#
#   --build DIR  the build folder (default: build)
#   --verbose    name every test of ONNX, not only those that fail
#
# Needs what deploy/packages.sh install build test installs. Ends with an
# error if anything fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=build verbose=false
while (($#)); do
  case "$1" in
    --build)
      build="${2:?--build needs a folder}"
      shift
      ;;
    --verbose) verbose=true ;;
    -h | --help)
      sed -n '2,13s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *)
      echo "tests/conformance/run.sh: unknown argument '$1'; see --help" >&2
      exit 2
      ;;
  esac
  shift
done

[[ -e "$build/build.ninja" ]] ||
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" --target conformance_onnx conformance_architectures \
  -- --quiet

results="$(mktemp -d)"
trap 'rm -r "$results"' EXIT
status=0
"$build/tests/conformance_onnx" >"$results/onnx" || status=1
"$build/tests/conformance_architectures" >"$results/architectures" || status=1

echo "ONNX's own tests (libonnx-testdata)"
echo
if $verbose; then
  grep -E '^(passed|failed|not in scope): ' "$results/onnx" || true
else
  grep '^failed: ' "$results/onnx" || true
fi
for kind in passed failed 'not in scope'; do
  printf '%6d %s\n' "$(grep -c "^$kind: " "$results/onnx")" "$kind"
done
echo
echo "Not in scope, because of"
sed -n 's/^not in scope: [^ ]*: \([^:]*\).*/\1/p' "$results/onnx" |
  sort | uniq -c | sort -rn
echo
echo "Exported architectures against their frameworks (bar: 1e-4)"
echo
echo "| model | exporter | opset | energy error | gradient error |"
echo "| --- | --- | --- | --- | --- |"
grep -E '^\| ' "$results/architectures" || true
grep -E '^\[  FAILED  \] .*GetParam' "$results/architectures" | sort -u || true
exit "$status"
