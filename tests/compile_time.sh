#!/usr/bin/env bash
# examples/minimal.cpp stays quick to compile: what it includes, counted in lines, and its time in units of a program that
# includes <vector> alone, which another machine takes its share of in the same way.
#   compile_time.sh COMPILER SOURCE_FOLDER WORK_FOLDER LARGEST_LINES LARGEST_RATIO [FLAGS...]
set -euo pipefail
compiler=$1 source=$2 work=$3 most_lines=$4 most_ratio=$5
shift 5
mkdir -p "$work"
echo '#include <vector>
int main() { return int(std::vector<int>(3).size()); }' > "$work/vector.cpp"
how=("$compiler" -std=c++20 -O2 "$@" -fopenmp -I "$source/include")

# Seconds of processor that compiling $1 takes $2 times over.
TIMEFORMAT='%U %S'
seconds() {
    { time for ((i = 0; i < $2; ++i)); do "${how[@]}" -c "$1" -o "$work/out.o"; done; } 2>&1 | awk '{ print $1 + $2 }'
}

lines=$("${how[@]}" -E -P "$source/examples/minimal.cpp" | wc -l)
# In turns, the least of each: a busy machine slows either down, seldom both twice.
ours= theirs=
for round in 1 2; do
    vector=$(seconds "$work/vector.cpp" 5)
    minimal=$(seconds "$source/examples/minimal.cpp" 1)
    theirs=$(awk -v a="${theirs:-$vector}" -v b="$vector" 'BEGIN { print (a < b ? a : b) }')
    ours=$(awk -v a="${ours:-$minimal}" -v b="$minimal" 'BEGIN { print (a < b ? a : b) }')
done
ratio=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.1f", 5 * a / b }')
echo "examples/minimal.cpp: $lines lines after the preprocessor (at most $most_lines), $ours s, $ratio times <vector> alone (at most $most_ratio)"
[ "$lines" -le "$most_lines" ] && awk -v r="$ratio" -v m="$most_ratio" 'BEGIN { exit !(r <= m) }'
