#!/usr/bin/env bash
# Compiles for aarch64 by Debian's cross compiler and runs the quick tests of each part under qemu-user, on a Debian machine
# of another architecture, as root or with sudo. Installs what is missing (apt).
#   tests/aarch64/run.sh [BUILD_FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build-aarch64}
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

bash examples/install.sh
packages=()
for package in g++-aarch64-linux-gnu qemu-user; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || packages+=("$package")
done
if [ ${#packages[@]} -gt 0 ]; then
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

# Beside the system's own, with which they share headers that differ (oneDNN), so that they are unpacked, not installed.
sysroot=$PWD/$build/sysroot
if [ ! -e "$sysroot/complete" ]; then
    if ! dpkg --print-foreign-architectures | grep -qx arm64; then
        "${as_root[@]}" dpkg --add-architecture arm64
        "${as_root[@]}" apt-get update -qq
    fi
    mkdir -p "$sysroot"
    (cd "$sysroot" && apt-get download -qq libdnnl-dev:arm64 libdnnl2:arm64 libpng-dev:arm64 libpng16-16:arm64 zlib1g-dev:arm64 \
        zlib1g:arm64 && for archive in *.deb; do dpkg -x "$archive" .; done)
    touch "$sysroot/complete"
fi

cmake -S . -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/tests/aarch64/toolchain.cmake" -DHOLON_SYSROOT="$sysroot" \
    -Ddnnl_DIR="$sysroot/usr/lib/aarch64-linux-gnu/cmake/dnnl" -DHOLON_NATIVE=OFF -DHOLON_CUDA=OFF -DHOLON_TESTS=ON \
    -DHOLON_EXAMPLES=OFF -DHOLON_BENCH=OFF -DHOLON_INSTALL=OFF
folders=(core tensor graph optim checkpoint metric)
cmake --build "$build" --target test_op "${folders[@]/#/test_}"
export OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE
ctest --test-dir "$build" --output-on-failure --no-tests=error -j "$(nproc)" -R "^($(IFS='|'; echo "${folders[*]}"))$"
# Of the ops, what takes seconds, each case in a process of its own: qemu-user keeps a table of the pages of every reserved
# address, which in one process costs more memory than there is. Left out are cases that make contexts by the hundred.
libraries=$sysroot/usr/lib/aarch64-linux-gnu:/usr/aarch64-linux-gnu/lib
test_op=(qemu-aarch64 -L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$libraries" "$build/tests/test_op")
cases=0 failed=0
while IFS= read -r name; do
    case "$name" in
        "widened convolutions are rounded once"* | "what a widened convolution holds"* | "conv2d's gradients are its slopes" | \
            "a gradient too large for the cache"*) continue ;;
    esac
    # A name that matches no case is a success to Catch2, so that what it says counts as well.
    { "${test_op[@]}" "${name//,/\\,}" > "$build/case.log" 2>&1 && grep -q "^All tests passed" "$build/case.log"; } ||
        { echo "failed: $name"; tail -n 40 "$build/case.log"; failed=$((failed + 1)); }
    cases=$((cases + 1))
done < <("${test_op[@]}" --list-test-names-only "~[data]~[slow]")
[ "$cases" -gt 50 ] || { echo "only $cases cases of test_op were found"; exit 1; }
echo "$failed of $cases cases of test_op failed"
[ "$failed" = 0 ]
