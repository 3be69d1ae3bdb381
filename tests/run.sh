#!/usr/bin/env bash
# Builds Basin and runs its tests.
#
#   tests/run.sh [--all] [--no-install] [--jobs N]
#
#   --all         also lint, ASan + UBSan over everything, TSan over the tests
#                 of core/ that start threads, clang's thread safety analysis,
#                 and a short run of each fuzz target after its corpus; what CI
#                 runs (about 50 minutes on 2 cores, against 12)
#   --no-install  do not install missing Debian packages: list them and stop
#   --jobs N      parallel compilations and tests (default: one per core)
#
# Build folders: build/ (Release), build-asan/, build-tsan/, build-fuzz/.
set -euo pipefail
cd "$(dirname "$0")/.."

all=false install=true jobs=$(nproc)
while (($#)); do
  case "$1" in
    --all) all=true ;;
    --no-install) install=false ;;
    --jobs)
      jobs="${2:?--jobs needs a number}"
      shift
      ;;
    -h | --help)
      sed -n '2,14s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *)
      echo "tests/run.sh: unknown argument '$1'; see --help" >&2
      exit 2
      ;;
  esac
  shift
done

groups=(build test)
$all && groups+=(lint)
if $install; then
  deploy/packages.sh install "${groups[@]}"
elif missing="$(deploy/packages.sh missing "${groups[@]}")" && [[ $missing ]]; then
  echo "tests/run.sh: missing Debian packages:" $missing >&2
  exit 1
fi

say() { printf '\n== %s (%s)\n' "$1" "$(date +%T)"; }

# configure FOLDER [cmake arguments]
configure() {
  cmake -S . -B "$1" -G Ninja "${@:2}" >"$1.log" 2>&1 ||
    { cat "$1.log" >&2; return 1; }
  rm -f "$1.log"
}

# build FOLDER [targets]; all without targets
build() { ninja -C "$1" -j "$jobs" --quiet "${@:2}"; }

run_ctest() { ctest --test-dir "$1" -j "$jobs" --output-on-failure "${@:2}"; }

if $all; then
  say "ThreadSanitizer over the tests of core/ that start threads"
  threaded="$(grep -rlE 'std::thread|scheduler/scheduler\.h' tests/core |
    sed -E 's|^tests/(core/[a-z]+)/.*|\1|' | sort -u)"
  configure build-tsan -C deploy/cmake/presets/tsan.cmake
  build build-tsan $(sed 's|.*|tests/&/all|' <<<"$threaded")
  run_ctest build-tsan -R "^basin_($(paste -sd'|' <<<"${threaded//\//_}"))_"
  say "AddressSanitizer and UndefinedBehaviorSanitizer"
  configure build-asan -C deploy/cmake/presets/asan.cmake
  build build-asan
  # Statistics are of the laws that the Release build samples.
  run_ctest build-asan -LE 'lint|statistical'
  say "clang: thread safety analysis and fuzz targets"
  configure build-fuzz -C deploy/cmake/presets/fuzz.cmake
  build build-fuzz basin_server basin onnx_importer_fuzz safetensors_fuzz tensor_convert_fuzz
  for target in build-fuzz/fuzz/*_fuzz; do
    corpus="tests/fuzz/corpus/$(basename "$target" _fuzz)"
    scratch="$(mktemp -d)"
    "$target" -max_total_time=30 -rss_limit_mb=2048 -verbosity=0 \
      -print_final_stats=1 "$scratch" "$corpus"
    rm -r "$scratch"
  done
fi

say "Release"
configure build -DCMAKE_BUILD_TYPE=Release
build build
run_ctest build -L statistical
say "Planted faults: transition, fault, how far off, verdict"
grep -hE ' (moments|matrix|ln Z): ' build/Testing/Temporary/LastTest.log
if $all; then
  run_ctest build -LE statistical
else
  run_ctest build -LE 'lint|statistical'
fi
