#!/usr/bin/env bash
# What the programs do with what they cannot use: exit code 2, a sentence with the facts, nothing lost. $1: the programs' folder.
set -u
programs=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# refused NAME 'words that must appear' command...
refused() {
    local name=$1 words=$2
    shift 2
    "$@" > "$work/out" 2> "$work/err"
    local code=$?
    if [ $code -ne 2 ] || ! grep -qE -- "$words" "$work/err"; then
        echo "FAILED $name: exit code $code, expected 2 and \"$words\"; it said:"
        cat "$work/err"
        failures=$((failures + 1))
    else
        echo "ok $name"
    fi
}

"$programs/phantom" --out "$work/ph" --size 128x96 --train 8 --validation 4 --test 4 > /dev/null || exit 1
data=phantom:$work/ph
train=("$programs/train_patch" --network resnet14 --size 128x96 --patch 32 --per-lesion 2 --batch 8 --epochs 1)
"${train[@]}" --data "$data" --out "$work/p" > /dev/null 2>&1 || { echo "FAILED: the run that must work did not"; exit 1; }
whole=("$programs/train_whole" --size 128x128 --top 8x1,4x1 --batch 4 --epochs 1,1)
"${whole[@]}" --data "$data" --weights "$work/p/best.safetensors" --out "$work/w" > /dev/null 2>&1 || { echo "FAILED: the whole-image run did not work"; exit 1; }
"$programs/evaluate" --data "$data" "$work/w/best.safetensors" --out "$work/e" | tail -n 1 | grep -qE '^AUC [0-9.e-]+ \[[0-9.e-]+, [0-9.e-]+\] n=8 positive=4$' ||
    { echo "FAILED: evaluate's last line"; failures=$((failures + 1)); }

"$programs/train_whole" --size 131x117 --top 8x1,4x1 --batch 3 --epochs 1,0 --data "$data" --weights "$work/p/best.safetensors" --out "$work/odd" > /dev/null 2>&1 ||
    { echo "FAILED: images of odd sizes"; failures=$((failures + 1)); }

refused "unknown scheme" "phantom:DIR" "${train[@]}" --data nonsense:x --out "$work/x"
refused "missing folder" "nowhere" "${train[@]}" --data phantom:"$work/nowhere" --out "$work/x"
refused "batch larger than the set" "larger than" "${train[@]}" --data "$data" --out "$work/x" --batch 5000
refused "patch that is no multiple of 32" "multiple of 32" "${train[@]}" --data "$data" --out "$work/x" --patch 50
refused "unknown network" "resnet50, resnet50-keras" "${train[@]}" --data "$data" --out "$work/x" --network resnet51
refused "size that cannot be read" "rows x columns" "${train[@]}" --data "$data" --out "$work/x" --size 128
refused "output below a file" "in the way|cannot be" "${train[@]}" --data "$data" --out "$work/ph/manifest.csv"
refused "wrong number of epochs" "2 stages" "${whole[@]}" --data "$data" --weights "$work/p/best.safetensors" --out "$work/x" --epochs 1,1,1
refused "image smaller than the network's minimum" "larger" "${whole[@]}" --data "$data" --weights "$work/p/best.safetensors" --out "$work/x" --size 64x64
refused "patch checkpoint to evaluate" "holds a patch classifier" "$programs/evaluate" --data "$data" "$work/p/best.safetensors" --out "$work/x"
head -c 5000 "$work/w/best.safetensors" > "$work/cut.safetensors"
refused "truncated checkpoint" "cut.safetensors" "$programs/evaluate" --data "$data" "$work/cut.safetensors" --out "$work/x"
cp "$work/w/best.safetensors" "$work/flipped.safetensors"
printf '\xff' | dd of="$work/flipped.safetensors" bs=1 seek=500000 conv=notrunc 2> /dev/null
refused "a flipped byte" "flipped.safetensors" "$programs/evaluate" --data "$data" "$work/flipped.safetensors" --out "$work/x"
refused "a loss that is not finite" "not finite|no longer finite" "${train[@]}" --data "$data" --out "$work/nan" --rates 1e30 --epochs 3
# The set without its malignant rows; every patient keeps a split.
grep -v ',malignant,' "$work/ph/manifest.csv" > "$work/ph/one.csv"
refused "one class only" "both classes" "$programs/evaluate" --data manifest:"$work/ph/one.csv" "$work/w/best.safetensors" --out "$work/one"
refused "unknown card" "rtx4060-8gb" "$programs/plan" --gpu voodoo2
echo '{"name": "x", "compute_capability": 890}' > "$work/card.json"
refused "a card without its numbers" "multiprocessors" "$programs/plan" --gpu "$work/card.json"
"$programs/plan" --network resnet14 --size 256x256 | tail -n 1 | grep -q "^fits with --recompute nothing" || { echo "FAILED: plan"; failures=$((failures + 1)); }
"$programs/plan" --size 16384x16384 --batch 8 | tail -n 1 | grep -q "^does not fit" || { echo "FAILED: plan of what cannot fit"; failures=$((failures + 1)); }
refused "scores counted twice" "as well" "$programs/auc" "$work/e/scores.csv" "$work/e/scores.csv"
refused "no space left" "space|full|written" bash -c "ulimit -f 2000; trap '' XFSZ; exec \"\$0\" \"\$@\"" "${train[@]}" --data "$data" --out "$work/full"

# Ctrl-C ends the step, saves, exits 130; --resume ends with the same bits as a run that was never stopped.
long=("$programs/train_patch" --network resnet14 --size 128x96 --patch 32 --per-lesion 3 --batch 4 --epochs 3 --seed 5 --data "$data")
"${long[@]}" --out "$work/straight" > /dev/null 2>&1
"${long[@]}" --out "$work/stopped" > /dev/null 2>&1 &
pid=$!
sleep 1.0
kill -INT $pid
wait $pid
code=$?
if [ $code -eq 130 ]; then
    "${long[@]}" --out "$work/stopped" --resume > /dev/null 2>&1
    cmp -s "$work/straight/last.safetensors" "$work/stopped/last.safetensors" && echo "ok interrupted and resumed to the same bits" ||
        { echo "FAILED: the resumed run differs from the one never stopped"; failures=$((failures + 1)); }
elif [ $code -eq 0 ]; then
    echo "FAILED: the run was over before the interrupt came; lengthen it"; failures=$((failures + 1))
else
    echo "FAILED: exit code $code after SIGINT, expected 130"; failures=$((failures + 1))
fi
[ $failures -eq 0 ] || { echo "$failures failed"; exit 1; }
