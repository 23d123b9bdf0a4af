#!/usr/bin/env bash
# The main job on real mammograms, small and short: both data sets through every program, folds of patients, one AUC in the
# end. That its value is no better than chance at this size is expected; that every image is tested once is what is checked.
#   $1: the programs' folder; HOLON_DATA: where the data is (exit code 77 without it)
set -u
programs=$1
[ -n "${HOLON_DATA:-}" ] || { echo "skipped: HOLON_DATA is not set"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cross_validate="$(dirname "$0")/../../examples/cross_validate.sh"

precision=fp32
grep -q avx512_bf16 /proc/cpuinfo 2> /dev/null && precision=bf16

# cross_validated NAME DATA 'n=... positive=...'
cross_validated() {
    bash "$cross_validate" --programs "$programs" --data "$2" --folds 2 --out "$work/$1" --common "--size 160x160 --precision $precision" \
        --patch "--network resnet14 --patch 32 --per-lesion 2 --epochs 1" --whole "--top 16x1,8x1 --batch 8 --epochs 1,1" \
        > "$work/$1.out" || { echo "FAILED $1"; cat "$work/$1.out"; exit 1; }
    cat "$work/$1.out"
    tail -n 1 "$work/$1.out" | grep -qE "^AUC [0-9.e-]+ \[[0-9.e-]+, [0-9.e-]+\] $3\$" || { echo "FAILED $1: expected $3"; exit 1; }
}

cross_validated mias "mias:$HOLON_DATA/mini-mias" "n=224 positive=36"
cross_validated cbis "cbis-ddsm-mass:$HOLON_DATA/cbis-ddsm-mass" "n=1231 positive=[0-9]+"

# Done is done: the same command again trains nothing and says the same.
before=$(tail -n 1 "$work/mias.out")
rm -f "$work"/mias/patch1/last.safetensors
cross_validated mias "mias:$HOLON_DATA/mini-mias" "n=224 positive=36"
[ "$before" = "$(tail -n 1 "$work/mias.out")" ] && [ ! -e "$work/mias/patch1/last.safetensors" ] || { echo "FAILED: trained again"; exit 1; }
