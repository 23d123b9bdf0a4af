#!/usr/bin/env bash
# Installs what is missing (apt), builds, and runs every test this machine can run.
#   tests/run.sh [--no-install] [--build DIR] [-D... for cmake] [-- arguments for ctest]
set -euo pipefail
cd "$(dirname "$0")/.."
build=build install=yes cmake_arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --no-install) install=no ;;
        --build) build=$2; shift ;;
        -D*) cmake_arguments+=("$1") ;;
        --) shift; break ;;
        *) echo "unknown argument $1; see the first lines of $0" >&2; exit 2 ;;
    esac
    shift
done
[ "$install" = no ] || bash examples/install.sh
cmake -S . -B "$build" -G Ninja -DHOLON_TESTS=ON -DHOLON_EXAMPLES=ON "${cmake_arguments[@]}"
cmake --build "$build"
ctest --test-dir "$build" --output-on-failure "$@"
