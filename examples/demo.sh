#!/usr/bin/env bash
# From nothing to a whole-image classifier on phantom mammograms: installs what is missing, builds, makes the set, trains a
# patch classifier, converts it, trains the whole-image classifier, evaluates it and writes a report.
#   examples/demo.sh [--no-install] [--seed N] [--out DIR] [--device cpu|gpu|gpu:N] [--without-patches]
# --without-patches trains the whole-image classifier from random weights instead: what the patch stage is worth.
set -euo pipefail
cd "$(dirname "$0")/.."
install=yes seed=1 out=runs/demo device=cpu patches=yes
while [ $# -gt 0 ]; do
    case "$1" in
        --no-install) install=no ;;
        --seed) seed=$2; shift ;;
        --out) out=$2; shift ;;
        --device) device=$2; shift ;;
        --without-patches) patches=no ;;
        *) echo "unknown argument $1; see the first lines of $0" >&2; exit 2 ;;
    esac
    shift
done
[ "$install" = no ] || bash examples/install.sh
cuda=OFF  # the CPU's demo needs no kernels, and is built in half the time without
[ "$device" = cpu ] || cuda=ON
cmake -S . -B build-demo -G Ninja -DHOLON_TESTS=OFF -DHOLON_BENCH=OFF -DHOLON_CUDA=$cuda > /dev/null
cmake --build build-demo --target phantom train_patch train_whole evaluate heatmap
programs=build-demo/examples
precision=fp32
{ [ "$device" != cpu ] || grep -q avx512_bf16 /proc/cpuinfo 2>/dev/null; } && precision=bf16
common=(--size 256x192 --precision "$precision" --device "$device" --seed "$seed")

rm -rf "$out"
mkdir -p "$out"
"$programs/phantom" --out "$out/phantoms" --seed "$seed"
data=phantom:$out/phantoms
if [ "$patches" = yes ]; then
    "$programs/train_patch" --data "$data" "${common[@]}" --network resnet14 --patch 64 --per-lesion 6 \
        --epochs 6,2 --rates 1e-3,1e-4 --out "$out/patch"
    "$programs/train_whole" --data "$data" "${common[@]}" --weights "$out/patch/best.safetensors" --top 128x1,64x1 --batch 8 \
        --epochs 2,14 --rates 1e-3,2e-4 --l2 1e-4,1e-4 --out "$out/whole"
    images=()
    for number in 201 203 205 207; do images+=("$out/phantoms/images/P${number}_CC.png"); done
    "$programs/heatmap" "$out/patch/best.safetensors" "${images[@]}" --precision "$precision" --device "$device" --out "$out/report"
else
    "$programs/train_whole" --data "$data" "${common[@]}" --network resnet14 --top 128x1,64x1 --batch 8 \
        --epochs 16 --rates 1e-3 --l2 1e-4 --out "$out/whole"
fi
"$programs/evaluate" --data "$data" "$out/whole/best.safetensors" --precision "$precision" --device "$device" --tta --out "$out/report"
echo "report: $out/report/report.html"
