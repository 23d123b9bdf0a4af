#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages that are missing to build everything here; says what it does.
set -euo pipefail
# (Debian's libdnnl-dev only recommends ocl-icd-opencl-dev, but its CMake config stops without it.)
packages=(g++ python3 cmake ninja-build ccache libdnnl-dev ocl-icd-opencl-dev libstb-dev nlohmann-json3-dev libcli11-dev libpng-dev catch2 libbenchmark-dev)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "installing with apt: ${missing[*]}"
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
