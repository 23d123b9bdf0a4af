"""Google Benchmark's JSON from standard input, a line a benchmark, without what says nothing here.   condense.py FILE"""

import json
import sys

KEPT = ("date", "commit", "processor", "threads", "num_cpus", "oneDNN", "element", "network", "matrix product, FLOP/s", "copy, bytes/s")
DROPPED = {"family_index", "per_family_instance_index", "run_name", "run_type", "repetitions", "repetition_index", "threads", "cpu_time"}


def rounded(value):
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main():
    output = sys.stdin.read()
    report = json.loads(output[output.index("{") :])  # after what the program says of the device
    context = {key: report["context"][key] for key in KEPT if key in report["context"]}
    rows = [
        {key: rounded(value) for key, value in row.items() if key not in DROPPED} for row in report["benchmarks"]
    ]
    with open(sys.argv[1], "w") as file:
        lines = ",\n".join("  " + json.dumps(row) for row in rows)
        file.write('{"context": ' + json.dumps(context) + ', "benchmarks": [\n' + lines + "\n]}\n")


main()
