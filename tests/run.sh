#!/usr/bin/env bash
# Installs what is missing (apt), builds, and runs the tests that a change can break on this machine.
#   tests/run.sh [--no-install] [--all] [--build DIR] [-D... for cmake] [-- arguments for ctest]
# --all runs the slow families too, and compiles the kernels for every architecture instead of one.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build install=yes all=no cmake_arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --no-install) install=no ;;
        --all) all=yes ;;
        --build) build=$2; shift ;;
        -D*) cmake_arguments+=("$1") ;;
        --) shift; break ;;
        *) echo "unknown argument $1; see the first lines of $0" >&2; exit 2 ;;
    esac
    shift
done
[ "$install" = no ] || bash examples/install.sh
which=(-LE slow) architectures=-DHOLON_CUDA_ARCHITECTURES=75-real
if [ "$all" = yes ]; then which=() architectures=-UHOLON_CUDA_ARCHITECTURES; fi  # the default is all that nvcc knows
cmake -S . -B "$build" -G Ninja -DHOLON_TESTS=ON -DHOLON_EXAMPLES=ON "$architectures" "${cmake_arguments[@]}"
cmake --build "$build"
# As many tests at once as there are processors: most have one thread. Those that wait for others leave them the processor.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
failed=0
ctest --test-dir "$build" --output-on-failure -j "$(nproc)" "${which[@]}" "$@" || failed=$?
if [ "$all" = no ]; then
    echo "Left out, as slow: $(ctest --test-dir "$build" -N -L slow | sed -n 's/^ *Test *#[0-9]*: //p' | tr '\n' ' ')"
    echo "To run these as well: bash tests/run.sh --all"
fi
exit "$failed"
