#!/usr/bin/env bash
# The one list of Debian 12 packages that Basin needs, and their installation.
#
#   deploy/packages.sh list GROUP...      print the packages
#   deploy/packages.sh missing GROUP...   print those that are not installed
#   deploy/packages.sh install GROUP...   install those (needs root or sudo)
#
# Groups: build, quickstart, test, benchmark, lint, train.
set -euo pipefail

build=(g++ cmake ninja-build ccache pkg-config libgrpc++-dev libprotobuf-dev
  protobuf-compiler protobuf-compiler-grpc libabsl-dev libeigen3-dev
  libdnnl-dev ocl-icd-opencl-dev libonnx-dev prometheus-cpp-dev libcli11-dev
  libpng-dev libssl-dev nlohmann-json3-dev zlib1g-dev libgtest-dev libgmock-dev)
quickstart=(python3 python3-numpy python3-matplotlib)
test=(python3 python3-numpy python3-matplotlib python3-torch python3-grpcio
  python3-protobuf libonnx-testdata)
benchmark=(python3-torch python3-onnx libopenblas0-openmp)
lint=(clang clang-format clang-tidy libclang-rt-14-dev universal-ctags)
train=(python3-torch python3-onnx python3-numpy python3-matplotlib python3-pil
  dataset-fashion-mnist)

packages() {
  local group
  for group in "$@"; do
    case "$group" in
      build | quickstart | test | benchmark | lint | train)
        local -n list="$group"
        printf '%s\n' "${list[@]}"
        ;;
      *)
        echo "deploy/packages.sh: no group '$group': build, quickstart, test, benchmark, lint, train" >&2
        exit 2
        ;;
    esac
  done
}

missing() {
  local package
  for package in $(packages "$@"); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null |
      grep -q 'ok installed' || echo "$package"
  done
}

install_missing() {
  local wanted sudo=()
  mapfile -t wanted < <(missing "$@")
  ((${#wanted[@]})) || return 0
  echo "Installing from Debian: ${wanted[*]}"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      echo "deploy/packages.sh: neither root nor sudo; please install: ${wanted[*]}" >&2
      exit 1
    }
    sudo=(sudo)
  fi
  local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
  "${apt[@]}" update >/dev/null
  "${apt[@]}" install --no-install-recommends "${wanted[@]}" >/dev/null
}

(($# >= 2)) || {
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
command="$1"
shift
case "$command" in
  list) packages "$@" ;;
  missing) missing "$@" ;;
  install) install_missing "$@" ;;
  *)
    echo "deploy/packages.sh: no command '$command': list, missing, install" >&2
    exit 2
    ;;
esac
