#!/usr/bin/env bash
# tests/gpu_pack.sh's archive is complete: in a root file system that has Debian's smallest set of packages, python3 and, read-only,
# this machine's CUDA and cuDNN, every program starts and each step of each call of tests/gpu.sh says that there is no GPU.
#   tests/gpu_pack_bare.sh [ARCHIVE] [ROOT] [FILM]      (without ARCHIVE it is made)
# As root; makes ROOT by debootstrap where it is not. FILM is a folder of tests/gpu_film.py. On a machine without a card.
set -euo pipefail
cd "$(dirname "$0")/.."
archive=${1:-build-pack/holon-gpu.tar.gz} root=${2:-build-pack/root} film=${3:-}
[ "$(id -u)" = 0 ] || { echo "needs root, for debootstrap and chroot" >&2; exit 2; }
[ $# -gt 0 ] || bash tests/gpu_pack.sh --out "$archive"  # of this source, not of an earlier one
command -v debootstrap > /dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends debootstrap; }
if [ ! -e "$root/complete" ]; then
    mkdir -p "$root"
    debootstrap --variant=minbase --include=python3-minimal bookworm "$root" > "$root.log" 2>&1 || { tail -n 5 "$root.log" >&2; exit 1; }
    touch "$root/complete"
fi
cuda=$(readlink -f "${CUDA_PATH:-/usr/local/cuda}")
mounted=()
trap 'for place in "${mounted[@]}"; do umount "$place"; done' EXIT
mkdir -p "$root/usr/local/cuda-here"
mount --bind -o ro "$cuda" "$root/usr/local/cuda-here" && mounted+=("$root/usr/local/cuda-here")
mount -t proc proc "$root/proc" && mounted+=("$root/proc")
rm -rf "$root/pack"
mkdir "$root/pack"
tar -C "$root/pack" -xzf "$archive"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$root" "$@"; }
libraries=/pack/holon-gpu/lib:$(cd "$root" && find usr/local/cuda-here/ -name 'libcud*.so.*' -o -name 'libcublas*.so.*' | xargs -n 1 dirname | sort -u | sed 's|^|/|' | paste -sd:)
for program in "$root"/pack/holon-gpu/bin/*; do
    name=$(basename "$program")
    case "$name" in
        *.sh) continue ;;
        test_*) how=--list-test-names-only ;;
        *) how=--version ;;
    esac
    inside env LD_LIBRARY_PATH="$libraries" "/pack/holon-gpu/bin/$name" $how > "$root/pack/said" 2>&1 && code=0 || code=$?
    # Catch2 2 returns the number of names.
    [ $code = 0 ] || [ "$how" != --version ] && [ -s "$root/pack/said" ] && ! grep -q "shared librar\|GLIBC" "$root/pack/said" ||
        { echo "$name does not start:"; cat "$root/pack/said"; exit 1; }
    echo "$name: $(head -n 1 "$root/pack/said")"
done
[ -z "$film" ] || cp -r "$film" "$root/pack/film"
code=0
inside bash /pack/holon-gpu/gpu.sh /pack/holon-gpu A B C --out /pack/out ${film:+--film /pack/film} || code=$?
[ $code = 3 ] || { echo "gpu.sh ended with $code; 3, no GPU, was expected"; exit 1; }
for call in A B C; do
    lines=$(tar -xOzf "$root/pack/out/gpu-$call.tar.gz" "gpu-$call/steps.jsonl")
    other=$(grep -vE '"result": "(no GPU|left out: no (PyTorch|ncu|compute-sanitizer|images|scores))' <<< "$lines" || true)
    [ -z "$other" ] || { echo "steps of call $call that neither met the missing GPU nor were left out for what is missing: $other"; exit 1; }
    echo "call $call: $(wc -l <<< "$lines") steps, $(grep -c '"no GPU"' <<< "$lines") of them met the missing GPU"
done
