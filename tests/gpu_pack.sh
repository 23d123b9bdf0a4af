#!/usr/bin/env bash
# Packs what a run on a CUDA machine needs, so that nothing is compiled there: programs for x86-64-v3 with kernels for one
# architecture, the shared libraries that a machine with no more than CUDA and cuDNN lacks, tests/gpu.sh and COMMIT.
#   tests/gpu_pack.sh [--out ARCHIVE] [--build DIR] [--architectures 90-real] [--calls "A B C"]
# --calls: the programs of these calls of tests/gpu.sh alone.
# Needs what a build with CUDA needs (README). The archive may have 32 MiB. The last line tells its size. The images and weights
# of call C are packed by tests/gpu_film.py.
set -euo pipefail
cd "$(dirname "$0")/.."
out="" build=build-pack architectures=90-real calls="A B C"
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || { echo "$1 needs a value; see the first lines of $0" >&2; exit 2; }
    case "$1" in
        --out) out=$2 ;;
        --build) build=$2 ;;
        --architectures) architectures=$2 ;;
        --calls) calls=$2 ;;
        *) echo "unknown argument $1; see the first lines of $0" >&2; exit 2 ;;
    esac
    shift 2
done
begin=$SECONDS
names=""
for call in $calls; do
    case "$call" in
        A) names+=" test_op_gpu bench_step bench_conv conv_plans plan" ;;
        B) names+=" bench_step bench_ops phantom train_patch train_whole evaluate" ;;
        C) names+=" bench_step train_patch train_whole evaluate auc" ;;  # train_patch: cross_validate.sh asks for it
        *) echo "--calls $calls: A, B and C are the calls" >&2; exit 2 ;;
    esac
done
mapfile -t programs < <(tr ' ' '\n' <<< "$names" | grep . | sort -u)
most=32  # MiB
out=${out:-$build/holon-gpu.tar.gz}

cmake -S . -B "$build" -G Ninja -DHOLON_NATIVE=OFF -DCMAKE_CXX_FLAGS=-march=x86-64-v3 -DHOLON_CUDA=ON -DHOLON_TESTS=ON \
    -DHOLON_BENCH=ON -DHOLON_TEST_GPU=real -DCMAKE_CUDA_ARCHITECTURES="$architectures" \
    -DCMAKE_EXE_LINKER_FLAGS="-static-libstdc++ -static-libgcc -Wl,--gc-sections" ${CUDNN_ROOT:+"-DCUDNN_ROOT=$CUDNN_ROOT"} > "$build.log" 2>&1 ||
    { tail -n 20 "$build.log" >&2; exit 1; }
cmake --build "$build" --target "${programs[@]}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pack=$work/holon-gpu
mkdir -p "$pack/bin" "$pack/lib" "$pack/peers"
for program in "${programs[@]}"; do
    for folder in tests bench examples; do
        [ ! -x "$build/$folder/$program" ] || strip -o "$pack/bin/$program" "$build/$folder/$program"
    done
    [ -x "$pack/bin/$program" ] || { echo "$program was not built in $build" >&2; exit 1; }
done
# What the dynamic linker finds here, but for the C library, which every machine has, and what CUDA's machine brings itself.
ldd "$pack"/bin/* | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv)\.so|/ld-linux|/lib(cudnn|cublas|cublasLt|nvrtc|cuda)[._0-9a-z]*\.so' |
    while IFS= read -r library; do
        strip --strip-unneeded -o "$pack/lib/$(basename "$library")" "$library"
    done
commit=$(git rev-parse HEAD 2> /dev/null || echo "${COMMIT:-unknown}")
git diff --quiet HEAD 2> /dev/null || commit="$commit, changed"
echo "$commit" > "$pack/COMMIT"
cp tests/gpu.sh "$pack"
cp bench/peers/step.py "$pack/peers"
cp examples/cross_validate.sh "$pack/bin"
mkdir -p "$(dirname "$out")"
tar -C "$work" --sort=name --owner=0 --group=0 -cf - holon-gpu | gzip -9 > "$out.part"
size=$(stat -c %s "$out.part")
[ "$size" -le $((most << 20)) ] || { echo "$out would have $size bytes, $((most << 20)) are allowed:" >&2; du -a "$pack" | sort -rn | head >&2; exit 1; }
mv "$out.part" "$out"
echo "$out: $(awk -v s="$size" 'BEGIN { printf "%.1f", s / 1048576 }') MiB, ${#programs[@]} programs, made in $((SECONDS - begin)) s"
