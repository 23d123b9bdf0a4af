"""Compiles minimal.cpp, its twin on LibTorch and a program of <vector>, in turns; run by peers.sh compile."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch.utils.cpp_extension import include_paths

ROUNDS = 3


def seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    compiler = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        vector = Path(folder, "vector.cpp")
        vector.write_text("#include <vector>\nint main() { return int(std::vector<int>(3).size()); }\n")
        how = [compiler, "-std=c++20", "-O2", "-c", "-o", str(Path(folder, "out.o"))]
        programs = {
            "examples/minimal.cpp": [*how, "-fopenmp", "-Iinclude", "examples/minimal.cpp"],
            "the same for holon::compiled": [*how, "-fopenmp", "-Iinclude", "-DHOLON_COMPILED=1", "examples/minimal.cpp"],
            f"bench/peers/minimal.cpp (LibTorch {torch.__version__})": [
                *how, *(f"-I{path}" for path in include_paths()), "bench/peers/minimal.cpp"
            ],
            "<vector> alone": [*how, str(vector)],
        }
        best = {name: min(seconds(command) for _ in range(ROUNDS)) for name, command in programs.items()}
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    print(f"{version}, -O2, seconds of processor, the least of {ROUNDS}")
    for name, took in best.items():
        print(f"  {name}: {took:.2f}")
    ours, compiled, theirs, _ = best.values()
    print(f"ratio {ours / theirs:.3f} compiled {compiled / theirs:.3f}")


main()
