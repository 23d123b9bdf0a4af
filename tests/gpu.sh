#!/usr/bin/env bash
# Everything there is to run on a CUDA machine, without a network and without compiling anything there.
#   tests/gpu.sh PACK CALL... [--out DIR] [--film FOLDER] [--limit SECONDS] [--divide N]
# PACK: an archive of tests/gpu_pack.sh, the folder it unpacks to, or a build folder (-DHOLON_CUDA=ON -DHOLON_TEST_GPU=real).
# Calls, each to be ended by the clock at any time:
#   A  is it right: a first step, recorded steps, kernels, the op suite, five rows of bench_step, memcheck (290 s)
#   B  how fast: those rows with timed engines, fp16 and batch 400, PyTorch beside them, ops, ncu, the phantom demo (420 s)
#   C  the paper on film: five folds on cbis-ddsm-mass with VGG16 and ResNet50, then one at 800x800 (590 s); --film names a
#      folder of gpu_film.py
# Each step has its own time limit and a line in steps.jsonl with date, commit, card, driver and versions, beside its log.
# DIR/gpu-CALL.tar.gz is written anew after every step. Exit code: 0 all went well, 1 something failed, 3 there is no GPU.
# --limit: seconds of each call instead. --divide: shorter limits, for tests of this script.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
usage() { echo "$1; see the first lines of $0" >&2; exit 2; }
out=$PWD film="" limit="" divide=1 pack="" calls=()
while [ $# -gt 0 ]; do
    case "$1" in
        --out | --film | --limit | --divide)
            [ $# -ge 2 ] || usage "$1 needs a value"
            case "$1" in --out) out=$2 ;; --film) film=$2 ;; --limit) limit=$2 ;; *) divide=$2 ;; esac
            shift
            ;;
        A | B | C) calls+=("$1") ;;
        -*) usage "unknown argument $1" ;;
        *) [ -z "$pack" ] || usage "unknown argument $1"; pack=$1 ;;
    esac
    shift
done
[ -n "$pack" ] && [ ${#calls[@]} -gt 0 ] || usage "a pack and at least one call are needed"
mkdir -p "$out" && out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -f "$pack" ]; then
    tar -C "$work" -xzf "$pack" || exit 2
    pack=$work/holon-gpu
fi
pack=$(cd "$pack" && pwd) || exit 2

# The program of this name in the pack or the build folder.
program() {
    local folder
    for folder in bin tests bench examples; do
        [ ! -x "$pack/$folder/$1" ] || { echo "$pack/$folder/$1"; return; }
    done
    echo "$pack/bin/$1"  # its absence is told by the step that asks for it
}

# cuDNN, cuBLAS and NVRTC, which are not packed: where pip's wheels put them, in the toolkit, or where the linker finds them.
folders() {
    local python root
    for python in python3 /opt/*/bin/python3; do
        "$python" -c 'import site; print("\n".join(site.getsitepackages()))' 2> /dev/null
    done | sort -u | while IFS= read -r root; do
        [ ! -d "$root/nvidia" ] || find "$root/nvidia" -name 'lib*.so.*' \( -name 'libcudnn*' -o -name 'libcublas*' -o -name 'libnvrtc*' \) -printf '%h\n'
    done
    find /usr/local/cuda*/ -name 'lib*.so.*' \( -name 'libcudnn*' -o -name 'libcublas*' -o -name 'libnvrtc*' \) -printf '%h\n' 2> /dev/null
}
LD_LIBRARY_PATH=$pack/lib:$(folders | sort -u | paste -sd:):${LD_LIBRARY_PATH:-}
export LD_LIBRARY_PATH

card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2> /dev/null | head -n 1)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2> /dev/null | head -n 1)
commit=$(cat "$pack/COMMIT" 2> /dev/null || git -C "$here" rev-parse HEAD 2> /dev/null || echo unknown)
torch=$(python3 -c 'import torch, torchvision; print(torch.__version__)' 2> /dev/null)
quoted() { sed 's/[\\"]/\\&/g' <<< "$1" | tr -d '\n\r\t'; }
save() {
    tar -C "$work" -czf "$out/.gpu-$call.part" "gpu-$call" && mv "$out/.gpu-$call.part" "$out/gpu-$call.tar.gz"
}

failed=0 absent=0 call="" running=""
# Told to stop: the steps so far, and the log of this one, are kept.
stop() {
    [ -z "$running" ] || kill "$running" 2> /dev/null
    [ -z "$call" ] || save
    exit 143
}
trap stop TERM INT
# step NAME SECONDS COMMAND...: runs it for at most so long, writes what became of it, and goes on.
step() {
    local name=$1 most=$(($2 / divide)) left=$((ends - SECONDS)) begin=$SECONDS code=0 state rows
    shift 2
    [ "$most" -ge 1 ] || most=1
    [ "$most" -le "$left" ] || most=$left
    local log=$results/$name.log
    if [ "$left" -lt $((10 / divide + 1)) ]; then
        state="left out: no time"
    else
        timeout -k 5 "$most" "$@" > "$log" 2>&1 < /dev/null &
        running=$!
        wait "$running" || code=$?
        running=""
        if grep -q "no GPU:" "$log"; then
            state="no GPU"
            absent=$((absent + 1))
        elif [ $code = 0 ]; then
            state=ok
        elif [ $code = 124 ] || { [ $code = 137 ] && [ $((SECONDS - begin)) -ge "$most" ]; }; then
            state="timed out"
        elif [ $code = 77 ]; then
            state="left out: $(tail -n 1 "$log")"
        elif [ $code -gt 128 ]; then
            state="crashed: signal $((code - 128))"
        else
            state="failed: $code"
        fi
    fi
    case "$state" in ok | "no GPU" | "left out"*) ;; *) failed=$((failed + 1)) ;; esac
    rows=$(grep -h '^{.*}$' "$log" 2> /dev/null | paste -sd,)
    printf '{"date": "%s", "commit": "%s", "card": "%s", "driver": "%s", "call": "%s", "step": "%s", "result": "%s", "seconds": %d, "limit": %d%s}\n' \
        "$(date -u +%FT%TZ)" "$(quoted "$commit")" "$(quoted "${card:-none}")" "$(quoted "${driver:-none}")" "$call" "$name" \
        "$(quoted "$state")" $((SECONDS - begin)) "$most" "${rows:+, \"rows\": [$rows]}" >> "$results/steps.jsonl"
    echo "$call $name: $state, $((SECONDS - begin)) s"
    case "$state" in ok | "left out"*) ;; *) tail -n 5 "$log" ;; esac
    save
}

# The commands of steps that are more than one program. 77: left out, for the reason on the last line.
machine() {
    nvidia-smi -q || echo "no GPU: there is no nvidia-smi here"
    lscpu
    ldd "$1"
    nvcc --version
    "$2" --describe "$results/card.json"
}
memcheck() {  # cuDNN's own kernels are not ours to check
    command -v compute-sanitizer || { echo "no compute-sanitizer"; return 77; }
    compute-sanitizer --tool memcheck --kernel-name kns=holon --error-exitcode 9 "$1" "[kernels]"
}
pytorch() {
    [ -n "$torch" ] || { echo "no PyTorch"; return 77; }
    python3 "$peer" --device gpu --steps 20 --warm-up 5 "$@"
}
kernel_table() {  # of the kernels of batch norm: time, share of the memory's bandwidth, registers, blocks that fit
    command -v ncu || { echo "no ncu"; return 77; }
    ncu --clock-control none -k "regex:channel_sums|batch_norm" -c 24 --csv --page raw --metrics \
        gpu__time_duration.sum,dram__bytes.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed,launch__registers_per_thread,launch__occupancy_limit_registers,sm__warps_active.avg.pct_of_peak_sustained_active \
        "$1" --device gpu --network resnet50 --precision bf16 --batch 256 --steps 1 --warm-up 1 --no-graph
}
demo() {  # train on phantoms as examples/demo.sh does
    local common=(--device gpu --precision bf16 --size 256x192 --seed 1) data=phantom:$work/phantoms
    "$1" --out "$work/phantoms" --seed 1 &&
        "$2" --data "$data" "${common[@]}" --network resnet14 --patch 64 --per-lesion 6 --epochs 6,2 --rates 1e-3,1e-4 \
            --out "$work/patch" --workers 8 &&
        "$3" --data "$data" "${common[@]}" --weights "$work/patch/best.safetensors" --top 128x1,64x1 --batch 8 \
            --epochs 2,14 --rates 1e-3,2e-4 --l2 1e-4,1e-4 --out "$work/whole" --workers 8 &&
        "$4" --data "$data" "$work/whole/best.safetensors" --device gpu --precision bf16 --tta --out "$work/report"
}
# Five folds of patients at once, whose reports are written as they come; those that the clock ended are judged by their best
# epoch so far. film NAME SIZE FOLDS PATCH OPTIONS OF train_whole...; PATCH: none, or the options of train_patch, in one word
film() {
    local name=$1 size=$2 only=$3 patch=$4 runs=$work/$1
    shift 4
    [ -d "$film/images" ] || { echo "no images; name them by --film"; return 77; }
    mkdir -p "$results/$name"
    trap 'keep_film "$runs" "$results/$name"; exit 124' TERM
    bash "$folds" --data "cbis-ddsm-mass:$film" --out "$runs" --folds 5 --only "$only" --jobs "$(wc -w <<< "$only")" \
        --programs "$(dirname "$(program train_whole)")" --patch "$patch" \
        --common "--device gpu --precision bf16 --size $size --workers 3" --whole "$*" &
    wait $!
    local code=$?
    keep_film "$runs" "$results/$name"
    return $code
}
keep_film() {  # logs, scores and reports; no weights
    (cd "$1" 2> /dev/null && find . \( -name '*.log' -o -name '*.csv' -o -name '*.json' -o -name '*.html' \) -size -2M -print0 |
        tar --null -T - -cf -) | tar -C "$2" -xf - 2> /dev/null
}
film_scores() {  # film_scores NAME SIZE: the folds that have no report yet, then one AUC over all
    local runs=$work/$1 fold
    [ -d "$film/images" ] || { echo "no images; name them by --film"; return 77; }
    for fold in "$runs"/whole*/; do
        local k=${fold%/}
        k=${k##*whole}
        [ -f "$fold/best.safetensors" ] || continue
        [ -e "$runs/report$k.done" ] ||
            "$evaluate" --data "cbis-ddsm-mass:$film" "$fold/best.safetensors" --device gpu --precision bf16 --size "$2" \
                --workers 8 --out "$runs/report$k"
    done
    keep_film "$runs" "$results/$1"
    compgen -G "$runs/report*/scores.csv" > /dev/null || { echo "no scores: no fold has a checkpoint"; return 77; }
    "$auc" "$runs"/report*/scores.csv
}

row() {  # row NAME SECONDS OPTIONS...: a row of bench_step for ResNet50
    local name=$1 most=$2
    shift 2
    step "$name" "$most" "$(program bench_step)" --device gpu --network resnet50 --steps 20 --warm-up 5 "$@"
}
call_A() {
    step machine 30 bash -c 'machine "$@"' _ "$(program test_op_gpu)" "$(program plan)"
    step smoke 40 "$(program bench_step)" --device gpu --network resnet14 --size 64x64 --batch 2 --steps 3
    step recorded 60 "$(program test_op_gpu)" "recorded steps*"
    step kernels 60 "$(program test_op_gpu)" "[kernels]"
    step suite 120 "$(program test_op_gpu)" -d yes
    row step-256 40 --precision bf16 --batch 256
    row step-256-ops 40 --precision bf16 --batch 256 --no-graph
    row step-32 30 --precision bf16 --batch 32
    row step-1152x896 40 --precision bf16 --batch 2 --size 1152x896
    row step-256-profile 60 --precision bf16 --batch 256 --profile
    step memcheck 240 bash -c 'memcheck "$@"' _ "$(program test_op_gpu)"
}
call_B() {
    local tuned=(--timed-engines 10 --workspace 1024)
    row tuned-256 60 --precision bf16 --batch 256 "${tuned[@]}"
    row tuned-32 40 --precision bf16 --batch 32 "${tuned[@]}"
    row tuned-1152x896 40 --precision bf16 --batch 2 --size 1152x896 "${tuned[@]}"
    row tuned-fp16-256 60 --precision fp16 --batch 256 "${tuned[@]}"
    row tuned-400 60 --precision bf16 --batch 400 "${tuned[@]}"
    step torch-256 60 bash -c 'pytorch "$@"' _ --precision bf16 --batch 256
    step torch-32 40 bash -c 'pytorch "$@"' _ --precision bf16 --batch 32
    step torch-256-compile 150 bash -c 'pytorch "$@"' _ --precision bf16 --batch 256 --compile default
    step ops 60 "$(program bench_ops)" --device gpu --precision bf16 --batch 256 --size 224x224 --benchmark_min_time=0.02 \
        --benchmark_filter='batch_norm|batch_statistics|max_pool|cross' --benchmark_format=json
    step kernel-table 60 bash -c 'kernel_table "$@"' _ "$(program bench_step)"
    step demo 90 bash -c 'demo "$@"' _ "$(program phantom)" "$(program train_patch)" "$(program train_whole)" "$(program evaluate)"
    step torch-256-autotune 240 bash -c 'pytorch "$@"' _ --precision bf16 --batch 256 --compile max-autotune
}
call_C() {
    local weights=()
    [ ! -f "$film/vgg16.safetensors" ] || weights=(--weights "$film/vgg16.safetensors")
    step first 40 "$(program bench_step)" --device gpu --network vgg16 --top 256x1,128x1 --size 512x512 --batch 8 --precision bf16
    step vgg16 260 bash -c 'film "$@"' _ vgg16 512x512 "1 2 3 4 5" none --network vgg16 "${weights[@]}" --batch 8 --epochs 2,28
    step vgg16-scores 40 bash -c 'film_scores "$@"' _ vgg16 512x512
    step resnet50 200 bash -c 'film "$@"' _ resnet50 512x512 "1 2 3 4 5" "--network resnet50 --patch 128 --per-lesion 4 --batch 64 --epochs 10" \
        --network resnet50 --batch 8 --epochs 2,18
    step resnet50-scores 40 bash -c 'film_scores "$@"' _ resnet50 512x512
    step vgg16-800 120 bash -c 'film "$@"' _ vgg16-800 800x800 1 none --network vgg16 "${weights[@]}" --batch 8 --epochs 2,28
    step vgg16-800-scores 30 bash -c 'film_scores "$@"' _ vgg16-800 800x800
}

declare -A seconds=([A]=290 [B]=420 [C]=590)
peer=$pack/peers/step.py
[ -f "$peer" ] || peer=$here/../bench/peers/step.py
folds=$pack/bin/cross_validate.sh
[ -f "$folds" ] || folds=$here/../examples/cross_validate.sh
evaluate=$(program evaluate) auc=$(program auc)
[ -z "$film" ] || film=$(cd "$film" && pwd) || exit 2
export work pack film torch peer folds evaluate auc
export -f program machine memcheck pytorch kernel_table demo film keep_film film_scores
for call in "${calls[@]}"; do
    results=$work/gpu-$call
    export results
    mkdir -p "$results"
    ends=$((SECONDS + ${limit:-${seconds[$call]}}))
    "call_$call"
done
echo "commit $commit on ${card:-no card}: $failed steps failed; results: $(printf "$out/gpu-%s.tar.gz " "${calls[@]}")"
[ $absent = 0 ] || exit 3
[ $failed = 0 ]
