#!/usr/bin/env bash
# Every convolution and every other op of ResNet50's and VGG16's training steps on this machine's processor, into JSON with date,
# commit, processor and versions: conv-<network>-<precision>.json, ops-<network>-<precision>.json. Three minutes on two cores;
# leave the machine alone meanwhile.
#   bench/cpu.sh [--out DIR] [--build DIR] [--size 224x224] [--precision "fp32 bf16"]
set -euo pipefail
cd "$(dirname "$0")/.."
out=bench-results build=build size=224x224 precisions="fp32 bf16"
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
    case "$1" in
        --out) out=$2 ;;
        --build) build=$2 ;;
        --size) size=$2 ;;
        --precision) precisions=$2 ;;
        *) echo "unknown argument $1; see the first lines of $0" >&2; exit 2 ;;
    esac
    shift 2
done
[ -f "$build/CMakeCache.txt" ] || cmake -S . -B "$build" -G Ninja -DHOLON_BENCH=ON
cmake --build "$build" --target bench_conv bench_ops
mkdir -p "$out"
commit=$(git rev-parse --short HEAD 2> /dev/null || echo unknown)
processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
for network in resnet50 vgg16; do
    for precision in $precisions; do
        for what in conv ops; do
            file=$out/$what-$network-$precision.json
            "$build/bench/bench_$what" --device cpu --precision "$precision" --network $network --size "$size" \
                --benchmark_min_time=0.05 --benchmark_format=json \
                --benchmark_context=commit="$commit" \
                --benchmark_context=processor="$processor" \
                --benchmark_context=threads="${OMP_NUM_THREADS:-$(nproc)}" |
                python3 bench/condense.py "$file"
            echo "$file"
        done
    done
done
