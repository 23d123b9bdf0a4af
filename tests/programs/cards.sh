#!/usr/bin/env bash
# A step of ResNet50 is planned on every card that `plan --list` names, in 16 bits and, where the card has it, in TF32.
# $1: the programs' folder.
set -u
programs=$1
failures=0 cards=0
while read -r line; do
    key=${line%%:*} cards=$((cards + 1))
    precisions=("bf16" "fp16" "fp32 --tf32")
    [ "$key" != t4-16gb ] || precisions=("fp16")
    for precision in "${precisions[@]}"; do
        # shellcheck disable=SC2086
        said=$("$programs/plan" --gpu "$key" --network resnet50 --size 224x224 --batch 16 --precision $precision 2>&1)
        if grep -qF "(published figures" <<< "$said" && grep -qE "^a step is 0\.41 TFLOP .* at best [0-9.]+ ms" <<< "$said" &&
            tail -n 1 <<< "$said" | grep -qx "fits with --recompute nothing"; then
            echo "ok $key, $precision"
        else
            echo "FAILED: $key, $precision: $said"; failures=$((failures + 1))
        fi
    done
done < <("$programs/plan" --list)
[ $cards -ge 13 ] || { echo "FAILED: plan --list names $cards cards"; failures=$((failures + 1)); }
[ $failures -eq 0 ] || { echo "$failures failed"; exit 1; }
