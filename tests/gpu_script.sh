#!/usr/bin/env bash
# tests/gpu.sh beside stand-ins for its programs, without a card: steps that succeed, fail, crash and hang, a clock that runs
# out, and being stopped; what is written must say so, and be there.
#   gpu_script.sh GPU_SH WORK_FOLDER
set -euo pipefail
script=$1 work=$2
rm -rf "$work"
mkdir -p "$work/pack/bin" "$work/path"
export PATH=$work/path:$PATH

stand_in() {  # stand_in NAME: a program of the pack, whose body is on standard input
    { echo '#!/usr/bin/env bash'; cat; } > "$work/pack/bin/$1"
    chmod +x "$work/pack/bin/$1"
}
fail() { echo "$1"; exit 1; }
# result CALL STEP: what steps.jsonl says of it.
result() { tar -xOzf "$work/out/gpu-$1.tar.gz" "gpu-$1/steps.jsonl" | sed -n "s/.*\"step\": \"$2\", \"result\": \"\([^\"]*\)\".*/\1/p"; }
expect() { [ "$(result "$1" "$2")" = "$3" ] || fail "$1 $2: \"$(result "$1" "$2")\", not \"$3\""; }

echo 0123abc > "$work/pack/COMMIT"
printf '#!/usr/bin/env bash\ncase "$*" in *name*) echo "Stand-in \\"9000\\"" ;; *driver*) echo 999.1 ;; esac\n' > "$work/path/nvidia-smi"
printf '#!/usr/bin/env bash\necho "memcheck: 0 errors"\n' > "$work/path/compute-sanitizer"
chmod +x "$work"/path/*
echo 'echo "{\"card\": 1}" > "${2}"' | stand_in plan
stand_in bench_step <<'S'
case "$*" in
    *--no-graph*) trap '' TERM; while :; do sleep 1; done ;;  # hangs, and does not listen
    *--size\ 1152x896*) kill -SEGV $$ ;;
    *--batch\ 32*) echo "error: out of memory" >&2; exit 2 ;;
esac
echo "a word before"
echo '{"images_per_second": 1.5}'
S
echo 'echo "All tests passed ($*)"' | stand_in test_op_gpu

# Every outcome, and the results whatever it was.
code=0
bash "$script" "$work/pack" A --out "$work/out" --divide 6 > "$work/log" 2>&1 || code=$?
[ $code = 1 ] || { cat "$work/log"; fail "exit code $code, not 1"; }
expect A machine ok
expect A smoke ok
expect A recorded ok
expect A suite ok
expect A step-256 ok
expect A step-256-ops "timed out"
expect A step-32 "failed: 2"
expect A step-1152x896 "crashed: signal 11"
expect A memcheck ok
steps=$(tar -xOzf "$work/out/gpu-A.tar.gz" gpu-A/steps.jsonl)
python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
assert all(r["card"] == "Stand-in \"9000\"" and r["commit"] == "0123abc" and r["driver"] == "999.1" for r in rows), rows
assert [r["rows"] for r in rows if r["step"] == "step-256"] == [[{"images_per_second": 1.5}]]
' <<< "$steps" || fail "steps.jsonl is not what it should be"
tar -xOzf "$work/out/gpu-A.tar.gz" gpu-A/step-32.log | grep "out of memory" > /dev/null || fail "the log of a failed step is missing"
tar -xOzf "$work/out/gpu-A.tar.gz" gpu-A/recorded.log | grep "(recorded steps\*)" > /dev/null || fail "the case's name did not arrive"
tar -tzf "$work/out/gpu-A.tar.gz" | grep gpu-A/card.json > /dev/null || fail "the card's description is missing"

# A clock that runs out leaves steps out, and says which.
bash "$script" "$work/pack" A --out "$work/out" --limit 0 > "$work/log" 2>&1 || fail "steps left out are no failure"
expect A suite "left out: no time"

# An archive is taken too; what needs PyTorch or ncu is left out where they are not; without a card that is told apart.
mv "$work/pack" "$work/holon-gpu"
tar -C "$work" -czf "$work/pack.tar.gz" holon-gpu
mv "$work/holon-gpu" "$work/pack"
printf '#!/usr/bin/env bash\nexit 1\n' > "$work/path/python3"
chmod +x "$work/path/python3"
for program in bench_step bench_ops phantom train_patch train_whole evaluate; do
    echo 'echo "error: no GPU: there is no NVIDIA driver here" >&2; exit 2' | stand_in $program
done
rm "$work/pack.tar.gz"
mv "$work/pack" "$work/holon-gpu"
tar -C "$work" -czf "$work/pack.tar.gz" holon-gpu
code=0
bash "$script" "$work/pack.tar.gz" B --out "$work/out" --divide 6 > "$work/log" 2>&1 || code=$?
[ $code = 3 ] || { cat "$work/log"; fail "without a card the exit code is $code, not 3"; }
expect B tuned-256 "no GPU"
expect B ops "no GPU"
expect B demo "no GPU"
expect B torch-256 "left out: no PyTorch"

# Stopped in the middle: what was done is there.
rm -rf "$work/out" "$work/path/python3"
mv "$work/holon-gpu" "$work/pack"
echo 'sleep 60' | stand_in test_op_gpu
echo 'echo done' | stand_in bench_step
bash "$script" "$work/pack" A --out "$work/out" > "$work/log" 2>&1 &
script_process=$!
for ((i = 0; i < 100; ++i)); do
    ! grep -q "A smoke: ok" "$work/log" || break
    sleep 0.2
done
kill "$script_process"
code=0
wait "$script_process" || code=$?
[ $code = 143 ] || { cat "$work/log"; fail "stopped, it ended with $code"; }
expect A smoke ok
[ -z "$(result A suite)" ] || fail "a step that did not run has a line"
echo "all as it should be"
