#!/usr/bin/env bash
# Builds Basin, serves the demo models, draws digits and scores real images.
#
#   deploy/quickstart.sh [--no-install] [--keep] [--port N]
#
#   --no-install  do not install missing Debian packages: list them and stop
#   --keep        leave the server running at the end
#   --port N      the server's port on 127.0.0.1; 0 = any free one (8001)
#
# Writes quickstart/samples.png and quickstart/energies.png; builds in build/.
set -euo pipefail
cd "$(dirname "$0")/.."

install=true keep=false port=8001
while (($#)); do
  case "$1" in
    --no-install) install=false ;;
    --keep) keep=true ;;
    --port)
      port="${2:?--port needs a number}"
      shift
      ;;
    -h | --help)
      sed -n '2,10s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *)
      echo "deploy/quickstart.sh: unknown argument '$1'; see --help" >&2
      exit 2
      ;;
  esac
  shift
done

bold='' plain=''
[[ -t 1 ]] && bold=$'\033[1m' plain=$'\033[0m'
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

say "Packages"
if $install; then
  deploy/packages.sh install build quickstart
elif missing="$(deploy/packages.sh missing build quickstart)" &&
  [[ $missing ]]; then
  echo "deploy/quickstart.sh: missing Debian packages:" $missing >&2
  echo "install them, or run again without --no-install" >&2
  exit 1
fi
echo "All there."

say "Build (Release, into build/; a few minutes the first time)"
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >build.log 2>&1 ||
  { cat build.log >&2; exit 1; }
rm build.log
cmake --build build --target basin_server basin

out=quickstart
mkdir -p "$out"
say "Server"
build/bin/basin_server --models=deploy/models --state="$out/state" \
  --listen="127.0.0.1:$port" --metrics_listen=127.0.0.1:0 \
  >"$out/server.log" 2>&1 &
server=$!
stop_server() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}
trap stop_server EXIT

# The server names its ports on one line, also when it chose them itself.
for ((i = 0; i < 300; ++i)); do
  address="$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/\1/p' \
    "$out/server.log" | head -n 1)"
  [[ $address ]] && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
[[ $address ]] || {
  cat "$out/server.log" >&2
  echo "the server did not start; is port $port taken? Try --port 0" >&2
  exit 1
}
basin=(build/bin/basin --server "$address")
"${basin[@]}" status --wait 60
echo
"${basin[@]}" models

say "Draw 64 digits from mnist_ebm"
"${basin[@]}" sample mnist_ebm --chains 64 --init noise --seed 1 \
  --out "$out/samples.png"

say "Score 1,000 MNIST digits, 1,000 Fashion-MNIST images, 256 constant ones"
/usr/bin/python3 deploy/quickstart_report.py constant "$out/constant.npy"
score() {
  "${basin[@]}" score mnist_ebm --input "$1" --out "$out/energies_$2.npy"
}
score deploy/data/mnist_test_1000.npy mnist
score deploy/data/fashion_1000.npy fashion
score "$out/constant.npy" constant
echo
/usr/bin/python3 deploy/quickstart_report.py report "$out"

say "Done"
cat <<EOF
Look at   $out/samples.png and $out/energies.png
Try next  build/bin/basin_server --models=deploy/models --state=state &
          build/bin/basin sample --help
          build/bin/basin sample mixture2d --transition mala --chains 64 \\
            --warmup 5000 --steps 50000 --keep_every 50 --out mixture.npy
          your own model: see "Models of your own" in README.md
EOF
if $keep; then
  trap - EXIT
  disown "$server"
  echo "Serving   $address (process $server; stop it with: kill $server)"
else
  echo "The server has stopped. Run with --keep to leave it running."
fi
