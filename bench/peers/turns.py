"""Times a training step here, its bare convolutions and PyTorch, in turns; run by peers.sh step."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path


def last_json(command, environment, none_if=None):
    """What a program prints in its last line, or None if it exits with `none_if`."""
    done = subprocess.run([str(word) for word in command], env=environment, stdout=subprocess.PIPE, text=True)
    if none_if is not None and done.returncode == none_if:
        return None
    if done.returncode:
        sys.exit(f"peers: {command[0]} ended with {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(prog="peers.sh step")
    parser.add_argument("programs", type=Path)
    parser.add_argument("--network", choices=["resnet50", "vgg16"], default="resnet50")
    parser.add_argument("--size", default="224x224")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="fp32,bf16")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    o = parser.parse_args()
    environment = dict(os.environ, OMP_NUM_THREADS=str(o.threads))
    work = ["--network", o.network, "--size", o.size, "--batch", o.batch]
    timing = ["--steps", o.steps, "--warm-up", 2]
    python = [sys.executable, Path(__file__).with_name("step.py")]
    print(f"{o.network}, {o.batch} x {o.size}, {o.threads} threads, {o.rounds} rounds of {o.steps} steps; seconds a step")

    ratios, shares = {}, {}
    for precision in o.precision.split(","):
        one = [*work, "--precision", precision]
        contenders = {
            "holon": [o.programs / "bench_step", *one, *timing],
            "bare": [o.programs / "bench_bare", *one],
            "eager": [*python, *one, *timing],
            "compiled": [*python, *one, *timing, "--compile", "default"],
        }
        if o.no_compile:
            del contenders["compiled"]
        runs = {name: [] for name in contenders}
        for _ in range(o.rounds):
            for name, command in list(contenders.items()):
                # Where bf16 is widened to float there are no bare convolutions in it: bench_bare says so and exits with 3.
                run = last_json(command, environment, none_if=3 if name == "bare" else None)
                if run is None:
                    del contenders[name], runs[name]
                    continue
                runs[name].append(run)
                shown = {k: v for k, v in run.items() if k.endswith("seconds") or k == "library"}
                print(f"  {precision} {name}: " + ", ".join(f"{k} {v}" for k, v in shown.items()), flush=True)
        best = {
            name: min(min(r["nhwc_seconds"], r["blocked_seconds"]) if name == "bare" else r["median_seconds"] for r in all)
            for name, all in runs.items()
        }
        torch = min(best[name] for name in contenders if name in ("eager", "compiled"))
        ratios[precision] = torch / best["holon"]
        line = f"{precision}: holon {best['holon']:.3f}, " + ", ".join(
            f"PyTorch {name} {best[name]:.3f}" for name in ("eager", "compiled") if name in best
        )
        if "bare" in best:
            shares[precision] = best["bare"] / best["holon"]
            least = min(r["least_step_seconds"] for r in runs["bare"])
            line += f", bare convolutions {best['bare']:.3f}, least step {least:.3f} ({least / best['holon']:.2f} of it reached)"
        print(line)
    words = ["ratio", *(f"{k} {v:.3f}" for k, v in ratios.items())]
    if shares:
        words += ["share", *(f"{k} {v:.3f}" for k, v in shares.items())]
    print(" ".join(words))


main()
