#!/usr/bin/env bash
# Everything there is to run on a CUDA machine, without a network; each part writes DIR/PART.json with the card and the versions.
#   tests/gpu.sh [--out DIR] [--build DIR] [part...]
# Parts, each well inside 9 minutes: build, suite (the op suite, kernels, recorded steps and stored plans on the card), sanitize
# (compute-sanitizer over it), plans (cuDNN's picks with and without the card), conv (convolutions one by one), ops (all other
# ops), step (training steps beside PyTorch, where it is installed), demo (phantoms trained on the card; mini-MIAS too where
# HOLON_DATA is). Without parts: all.
# Needs nvcc, cuDNN (CUDNN_ROOT may name a pip wheel's nvidia/cudnn), oneDNN, CMake, and the packages of examples/install.sh.
set -uo pipefail
cd "$(dirname "$0")/.."
out=gpu-results build=build-gpu parts=()
while [ $# -gt 0 ]; do
    case "$1" in
        --out) out=$2; shift ;;
        --build) build=$2; shift ;;
        build | suite | sanitize | plans | conv | ops | step | demo) parts+=("$1") ;;
        *) echo "unknown argument $1; see the first lines of $0" >&2; exit 2 ;;
    esac
    shift
done
[ ${#parts[@]} -gt 0 ] || parts=(build suite sanitize plans conv ops step demo)
mkdir -p "$out"
python=$(command -v python3 || true)
failed=()

facts() {  # members every result has
    local card driver
    card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
    driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
    printf '"date": "%s", "commit": "%s", "card": "%s", "driver": "%s", "nvcc": "%s"' "$(date -u +%FT%TZ)" \
        "${COMMIT:-$(git rev-parse --short HEAD 2>/dev/null || echo unknown)}" "${card:-none}" "${driver:-none}" \
        "$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')"
}
result() {  # result PART ok|failed SECONDS MEMBERS
    printf '{%s, "part": "%s", "result": "%s", "seconds": %s%s}\n' "$(facts)" "$1" "$2" "$3" "${4:+, $4}" > "$out/$1.json"
    [ "$2" = ok ] || failed+=("$1")
    echo "$1: $2 after $3 s"
}
lines() { paste -sd, "$1"; }  # lines of JSON as the members of a list

part_build() {
    local architecture
    architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
    cmake -S . -B "$build" -G Ninja -DHOLON_CUDA=ON -DHOLON_TEST_GPU=real -DCMAKE_CUDA_ARCHITECTURES="${architecture:-native}" \
        ${CUDNN_ROOT:+"-DCUDNN_ROOT=$CUDNN_ROOT"} ${dnnl_DIR:+"-Ddnnl_DIR=$dnnl_DIR"} &&
        cmake --build "$build" --target test_op_gpu bench_conv bench_ops bench_step conv_plans plan phantom train_patch train_whole evaluate heatmap
}
part_suite() { "$build/tests/test_op_gpu" -d yes; }
part_sanitize() {  # cuDNN's own kernels are not ours to check
    local tool
    for tool in memcheck racecheck initcheck; do
        timeout 170 compute-sanitizer --tool $tool --kernel-name kns=holon --error-exitcode 9 "$build/tests/test_op_gpu" "[kernels]" || return 1
    done
}
part_plans() { "$build/bench/conv_plans" --here > "$out/plans.csv" && "$build/examples/plan" --describe "$out/card.json"; }
part_conv() {
    "$build/bench/bench_conv" --device gpu --precision bf16 --benchmark_min_time=0.02 --benchmark_out="$out/conv-resnet50.json" \
        --benchmark_out_format=json &&
        "$build/bench/bench_conv" --device gpu --precision bf16 --network vgg16 --benchmark_min_time=0.02 \
            --benchmark_out="$out/conv-vgg16.json" --benchmark_out_format=json
}
part_ops() {
    local network precision
    for network in resnet50 vgg16; do
        for precision in bf16 fp32; do
            "$build/bench/bench_ops" --device gpu --precision $precision --network $network --benchmark_min_time=0.02 \
                --benchmark_out="$out/ops-$network-$precision.json" --benchmark_out_format=json || return 1
        done
    done
}
part_step() {
    local rows=$out/step.lines network shape precision flags
    : > "$rows"
    for network in resnet50 vgg16; do
        for shape in "224x224 256" "224x224 32" "1152x896 2"; do
            set -- $shape
            for precision in bf16 fp32 tf32; do
                flags=(--precision "$precision")
                [ "$precision" != tf32 ] || flags=(--precision fp32 --tf32)
                "$build/bench/bench_step" --device gpu --network $network --size "$1" --batch "$2" "${flags[@]}" --steps 20 --warm-up 5 |
                    tee /dev/stderr | grep '^{' >> "$rows" || return 1
                [ "$2" = 256 ] ||  # the same without CUDA graphs, where launching is a larger share
                    "$build/bench/bench_step" --device gpu --network $network --size "$1" --batch "$2" "${flags[@]}" --steps 20 --warm-up 5 \
                        --no-graph | tee /dev/stderr | grep '^{' >> "$rows" || return 1
                [ -z "$python" ] || ! "$python" -c "import torch, torchvision" 2>/dev/null || {
                    "$python" bench/peers/step.py --device gpu --network $network --size "$1" --batch "$2" --precision "$precision" \
                        --steps 20 --warm-up 5 | tee -a "$rows"
                    [ "$precision" != bf16 ] || "$python" bench/peers/step.py --device gpu --network $network --size "$1" --batch "$2" \
                        --precision bf16 --compile max-autotune --steps 20 --warm-up 5 | tee -a "$rows"
                }
            done
        done
    done
}
part_demo() {
    local runs=$out/demo.lines programs=$build/examples common=(--device gpu --precision bf16 --size 256x192 --seed 1) work
    work=$(mktemp -d)
    : > "$runs"
    "$programs/phantom" --out "$work/phantoms" --seed 1 > /dev/null &&
        "$programs/train_patch" --data "phantom:$work/phantoms" "${common[@]}" --network resnet14 --patch 64 --per-lesion 6 \
            --epochs 6,2 --rates 1e-3,1e-4 --out "$work/patch" --workers 8 &&
        "$programs/train_whole" --data "phantom:$work/phantoms" "${common[@]}" --weights "$work/patch/best.safetensors" \
            --top 128x1,64x1 --batch 8 --epochs 2,14 --rates 1e-3,2e-4 --l2 1e-4,1e-4 --out "$work/whole" --workers 8 &&
        "$programs/evaluate" --data "phantom:$work/phantoms" "$work/whole/best.safetensors" --device gpu --precision bf16 --tta \
            --out "$work/report" | tee "$work/report.log" &&
        echo "\"phantoms: $(tail -n 1 "$work/report.log")\"" >> "$runs"
    local code=$?
    rm -rf "$work"
    return $code
}

for part in "${parts[@]}"; do
    begin=$(date +%s)
    if "part_$part" > "$out/$part.log" 2>&1; then state=ok; else state=failed; fi
    members=""
    [ ! -s "$out/$part.lines" ] || members="\"rows\": [$(lines "$out/$part.lines")]"
    [ "$part" != suite ] || members="\"last_line\": \"$(grep -E 'assertions|passed' "$out/$part.log" | tail -n 1 | tr -d '"')\""
    rm -f "$out/$part.lines"
    result "$part" $state $(($(date +%s) - begin)) "$members"
    [ "$state" = ok ] || tail -n 20 "$out/$part.log"
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
