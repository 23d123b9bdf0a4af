#!/usr/bin/env bash
# Programs on an old processor, as qemu has one: old.sh NATIVE PROGRAM... If they are compiled for this machine (NATIVE is
# ON), each says so in a sentence and exits with 2; else the first one runs.
set -uo pipefail
native=$1
shift
qemu=$(command -v qemu-x86_64) || { echo "qemu-x86_64 is not installed (apt install qemu-user)"; exit 77; }
if [ "$native" != ON ]; then
    exec "$qemu" -cpu Nehalem "$1"
fi
for program in "$@"; do
    said=$("$qemu" -cpu Nehalem "$program" --help 2>&1)
    result=$?
    case "$result $said" in
        "2 this program was compiled for a processor with SSE3,"*"; this one lacks "*": build it on this machine, or with -DHOLON_NATIVE=OFF for any") ;;
        *) echo "$program: $result, $said"; exit 1 ;;
    esac
done
echo "$# programs: $said"
