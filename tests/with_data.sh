#!/bin/sh
# Runs a test program that needs real mammograms; without them it is skipped, saying why.
if [ -z "$HOLON_DATA" ] || [ ! -d "$HOLON_DATA" ]; then
    echo "SKIPPED: HOLON_DATA does not name a folder with mammograms"
    exit 77
fi
exec "$@"
