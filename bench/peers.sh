#!/usr/bin/env bash
# Holon beside its peers, on the same work, in turns, in one run.
#   bench/peers.sh step [--network resnet50|vgg16] [--size 224x224] [--batch 32] [--steps 3] [--rounds 2] [--threads 2]
#                       [--precision fp32,bf16] [--no-compile]
#       a training step (forward, backward, Adam) here, of the convolutions called bare, and in PyTorch at its best:
#       channels_last, eager and compiled, bf16 by autocast. Last line: `ratio fp32 <r> bf16 <r> share fp32 <s> bf16 <s>`:
#       PyTorch's best time over ours, and the bare convolutions' time over ours; no share of bf16 where it is widened.
#   bench/peers.sh compile
#       seconds of processor to compile examples/minimal.cpp, also for holon::compiled, its twin on LibTorch, and a program
#       that includes <vector>, with -O2. Last line: `ratio <ours over LibTorch's> compiled <the same for holon::compiled>`.
# --build DIR names the build folder. HOLON_PEERS_VENV names the virtual environment, made if it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-}
[ "$kind" = step ] || [ "$kind" = compile ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
shift
build=build words=()
while [ $# -gt 0 ]; do
    case "$1" in
        --build) build=$2; shift ;;
        *) words+=("$1") ;;
    esac
    shift
done
venv=${HOLON_PEERS_VENV:-${TMPDIR:-/tmp}/holon-peers}
[ -d "$venv" ] || python3 -m venv "$venv"
"$venv/bin/python" -c "import numpy, safetensors, torch, torchvision" 2> /dev/null ||
    "$venv/bin/pip" install -q numpy safetensors torch torchvision

if [ "$kind" = compile ]; then
    exec "$venv/bin/python" bench/peers/compile.py "${CXX:-c++}" ${words[@]+"${words[@]}"}
fi
[ -f "$build/CMakeCache.txt" ] || cmake -S . -B "$build" -G Ninja -DHOLON_BENCH=ON
cmake --build "$build" --target bench_step bench_bare
exec "$venv/bin/python" bench/peers/turns.py "$build/bench" ${words[@]+"${words[@]}"}
