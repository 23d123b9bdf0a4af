#!/usr/bin/env bash
# Patch classifier, conversion, whole-image training and evaluation for each fold of patients; ends with one AUC over all of
# them, so that every patient is tested once by a network that no choice about it saw. Stopped, the same command goes on.
#   examples/cross_validate.sh --data DATA --out DIR [--folds 5] [--jobs 1] [--programs build/examples]
#                              [--common 'OPTIONS'] [--patch 'OPTIONS of train_patch'] [--whole 'OPTIONS of train_whole']
#                              [--report 'OPTIONS of evaluate'] [--splits FOLDER] [--only 'K ...']
# --patch none leaves the patch stage out: what the whole-image networks begin with is then said in --whole. --splits takes
# the folds from FOLDER/foldK.csv instead of dealing them out; --only runs some of the folds, and the AUC is theirs.
# --jobs N runs N folds at a time, each on its share of the cores. The folds' logs are DIR/{patch,whole,report}K.log.
set -euo pipefail
data="" out="" folds=5 jobs=1 programs="$(dirname "$0")/../build/examples" common="" patch="" whole="" report=--tta
splits="" only=""
while [ $# -gt 0 ]; do
    case "$1" in
        --data | --out | --folds | --jobs | --programs | --common | --patch | --whole | --report | --splits | --only)
            [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
            declare "${1#--}=$2"
            shift 2
            ;;
        *) echo "unknown argument $1; see the first lines of $0" >&2; exit 2 ;;
    esac
done
[ -n "$data" ] && [ -n "$out" ] || { echo "--data and --out are needed; see the first lines of $0" >&2; exit 2; }
[ -x "$programs/train_patch" ] || { echo "no train_patch in $programs: build first (bash tests/run.sh), or say --programs" >&2; exit 2; }
mkdir -p "$out"
cores=$(nproc)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores / jobs > 0 ? cores / jobs : 1))}

# step NAME command...: once; goes on where it was stopped.
step() {
    local name=$1
    shift
    [ ! -e "$out/$name.done" ] || return 0
    local resume=()
    [ ! -e "$out/$name/last.safetensors" ] || resume=(--resume)
    "$@" --data "$data" --out "$out/$name" "${resume[@]}" >> "$out/$name.log" 2>&1 || {
        echo "$name failed; the end of $out/$name.log:" >&2
        tail -n 3 "$out/$name.log" >&2
        return 1
    }
    touch "$out/$name.done"
}

# shellcheck disable=SC2086  # the option strings are lists of words
fold() {
    local k=$1
    local patients=(--fold "$k/$folds") begin=()
    [ -z "$splits" ] || patients=(--splits "$splits/fold$k.csv")
    if [ "$patch" != none ]; then
        step "patch$k" "$programs/train_patch" "${patients[@]}" $common $patch
        patients=() begin=(--weights "$out/patch$k/best.safetensors")  # its splits.csv goes with it
    fi
    step "whole$k" "$programs/train_whole" "${patients[@]}" "${begin[@]}" $common $whole
    step "report$k" "$programs/evaluate" "$out/whole$k/best.safetensors" $common $report
    echo "fold $k: $(tail -n 1 "$out/report$k.log")"
}

failed=0
running=0
[ -n "$only" ] || only=$(seq -s ' ' "$folds")
for k in $only; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fold "$k" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
[ "$failed" = 0 ] || exit 1
scores=()
for k in $only; do scores+=("$out/report$k/scores.csv"); done
"$programs/auc" "${scores[@]}"
