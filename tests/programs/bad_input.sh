#!/usr/bin/env bash
# What the programs do with orders that they cannot follow, with limits, and with Ctrl-C (bad_data.sh has what data,
# checkpoints and options can have wrong with them). $1: the programs' folder.
set -u
programs=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
export OMP_NUM_THREADS=1  # networks this small gain nothing from more
. "$(dirname "$0")/refused.sh"

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
refused "size that cannot be read" "rows x columns" "${train[@]}" --data "$data" --out "$work/x" --size 128
refused "wrong number of epochs" "2 stages" "${whole[@]}" --data "$data" --weights "$work/p/best.safetensors" --out "$work/x" --epochs 1,1,1
refused "patch checkpoint to evaluate" "holds a patch classifier" "$programs/evaluate" --data "$data" "$work/p/best.safetensors" --out "$work/x"
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
while [ ! -s "$work/stopped/log.csv" ] && kill -0 $pid 2> /dev/null; do sleep 0.05; done  # until the training begins
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
