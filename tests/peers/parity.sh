#!/usr/bin/env bash
# ResNet50 and VGG16 here and in PyTorch on the same weights: logits, loss, every gradient, running statistics, and the
# weights after three steps of Adam; and torchvision's files here and back. Exit 1 where a tensor is off by more than
# 1e-4 of its norm (or twice what PyTorch's own float is off). About half an hour on two cores and 10 GB of disk.
#   tests/peers/parity.sh [--build DIR] [--record]
# HOLON_PEERS_VENV names the virtual environment, made if it is not there. --record writes tests/peers/parity.json instead.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build record=no
while [ $# -gt 0 ]; do
    case "$1" in
        --build) build=$2; shift ;;
        --record) record=yes ;;
        *) echo "unknown argument $1; see the first lines of $0" >&2; exit 2 ;;
    esac
    shift
done
venv=${HOLON_PEERS_VENV:-${TMPDIR:-/tmp}/holon-peers}
[ -d "$venv" ] || python3 -m venv "$venv"
"$venv/bin/python" -c "import numpy, safetensors, torch, torchvision" 2> /dev/null ||
    "$venv/bin/pip" install -q numpy safetensors torch torchvision

if [ "$record" = yes ]; then
    exec "$venv/bin/python" tests/peers/parity.py record tests/peers/parity.json
fi
[ -f "$build/CMakeCache.txt" ] || cmake -S . -B "$build" -G Ninja -DHOLON_TESTS=ON
cmake --build "$build" --target parity
folder=$(mktemp -d "${TMPDIR:-/tmp}/holon-parity-XXXXXX")
trap 'rm -rf "$folder"' EXIT
"$venv/bin/python" tests/peers/parity.py live "$build/tests/parity" "$folder"
