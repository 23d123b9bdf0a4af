#!/usr/bin/env bash
# --recompute: the same losses under every policy; auto takes the cheapest that fits --memory, or refuses before the first step.
#   recompute.sh DIR_OF_THE_PROGRAMS
set -euo pipefail
programs=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive
"$programs/phantom" --out "$work/phantoms" --train 4 --validation 4 --test 4 >/dev/null
train() {  # OUT and options
    local out=$1
    shift
    "$programs/train_whole" --data "phantom:$work/phantoms" --network resnet14 --top 16x1 --size 256x192 --batch 4 \
        --epochs 2 --out "$work/$out" "$@" >"$work/$out.txt" 2>&1
}
losses() { cut -d, -f5 "$work/$1/log.csv" | tail -n 2; }

for policy in nothing batch_norm expansion block; do
    train $policy --recompute $policy
    [ "$(losses $policy)" = "$(losses nothing)" ] || { echo "$policy: other losses than nothing"; exit 1; }
done

# What each needs, as auto says it with too little for any; then just enough for one, to which it must keep.
code=0
train refused --recompute auto --memory 650MiB || code=$?
[ $code = 2 ] || { echo "650 MiB: exit code $code, not 2"; cat "$work/refused.txt"; exit 1; }
grep -q "bytes (.*) are missing" "$work/refused.txt"
[ ! -e "$work/refused/log.csv" ]
for policy in batch_norm expansion block; do
    needs=$(sed -n "s/^--recompute $policy: .* needs \([0-9.]*\) MiB of .*/\1/p" "$work/refused.txt")
    train fits_$policy --recompute auto --memory "$(awk "BEGIN {print 0.6 * 1024 + $needs + 0.2}")MiB"
    grep -q "^--recompute $policy: .*: fits" "$work/fits_$policy.txt" || { cat "$work/fits_$policy.txt"; exit 1; }
    [ "$(losses fits_$policy)" = "$(losses nothing)" ]
done

# A named policy is held to --memory too; a smaller batch is offered where one would fit.
code=0
train named --recompute nothing --memory 680MiB || code=$?
[ $code = 2 ] && grep -q -- "--recompute auto finds what fits" "$work/named.txt"
code=0
train offered --recompute auto --memory 720MiB --batch 8 --size 512x384 || code=$?
[ $code = 2 ] && grep -Eq "missing; --batch [0-9]+ (--size [0-9x]+ )?--recompute block needs" "$work/offered.txt"
echo "policies agree, fit and refuse as they say"
