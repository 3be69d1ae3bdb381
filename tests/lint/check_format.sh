#!/usr/bin/env bash
# Checks that clang-format would change nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t files < <(find core server client tests \
  \( -name '*.h' -o -name '*.cc' -o -name '*.cu' \) | sort)
clang-format --dry-run -Werror "${files[@]}"
echo "format: ${#files[@]} files"
