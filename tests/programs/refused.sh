# refused.sh: what the tests of the programs share. Sourced; $work is a folder of the test's own, $failures counts.

# refused NAME 'words that must appear' command...: exit code 2 and one sentence with the words, on standard error.
refused() {
    local name=$1 words=$2
    shift 2
    "$@" > "$work/out" 2> "$work/err"
    local code=$?
    if [ $code -ne 2 ] || ! grep -qE -- "$words" "$work/err"; then
        failed "$name: exit code $code, expected 2 and \"$words\"; it said:"
        cat "$work/err"
    else
        echo "ok $name: $(head -n 1 "$work/err")"
    fi
}

# accepted NAME 'words that must appear' command...: exit code 0 and the words, on standard output.
accepted() {
    local name=$1 words=$2
    shift 2
    "$@" > "$work/out" 2> "$work/err"
    local code=$?
    if [ $code -ne 0 ] || ! grep -qE -- "$words" "$work/out"; then
        failed "$name: exit code $code, expected 0 and \"$words\"; it said:"
        cat "$work/out" "$work/err"
    else
        echo "ok $name"
    fi
}

failed() {
    echo "FAILED $*"
    failures=$((failures + 1))
}
