#!/usr/bin/env python3
"""Breaks every barrier and every bound of the kernels, one at a time, and asks whether a test notices.

    mutants.py --write SOURCES OUT     copies the kernels, every bound followed by `+ host_cuda::off(SITE)`, and lists the
                                       sites in OUT/sites.json; without HOLON_MUTANT set, the copies do what the sources do
    mutants.py --run PROGRAM SITES [--jobs N] [--part K/N] [--only FILE]
                                       runs the tests once for every mutant; last line `mutants: C of T caught`, and exit
                                       code 1 unless all are

A bound is the right side of a comparison (<, <=, >, >=), a step of one to the side of something (`- 1`, `+ 1`), or a number
of blocks (`divided_up`); each is moved by one both ways. A barrier is taken out. Mutants that change nothing a test could see
stand in EQUIVALENT, each with its reason.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

# (file, a piece of the line, which bound of that line from 0 or None for all, shifts, why no test can see it)
EQUIVALENT = [
    ("dropout.cuh", "4 * block < count", 0, (1,), "the group that begins at the end is empty: each of its four elements has its own bound"),
    ("classify.cuh", "first < images; first += loss_threads", 0, (1,), "a round that begins at the end has no image and adds nothing"),
    ("affine_warp.cuh", "determinant * determinant < 1e-12", 0, (1,), "more pixels look through everything, which finds the same readers"),
]

# Tests of a file, by Catch's tags; files that are not here are everybody's.
TAGS = {
    "affine_warp.cuh": "[warp]",
    "average_pool2d.cuh": "[pooling]",
    "batch_norm.cuh": "[batch_norm]",
    "classify.cuh": "[classify]",
    "dropout.cuh": "[dropout]",
    "elementwise.cuh": "[elementwise],[batch_norm]",
    "max_pool2d.cuh": "[pooling]",
    "optimizer.cuh": "[optimizer]",
    "reduce.cuh": "[reduce]",
}


def without_comments(text):
    """The same length and lines, comments and preprocessor lines blank."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    text = re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)
    return re.sub(r"^[ ]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)


def end_of_operand(text, at):
    """Where the right side of a comparison that begins at `at` ends."""
    depth = 0
    while at < len(text):
        c = text[at]
        if c in "([{":
            depth += 1
        elif c in ")]}":
            if depth == 0:
                return at
            depth -= 1
        elif depth == 0 and (c in ";,?:" and text[at : at + 2] != "::" and text[at - 1 : at + 1] != "::"):
            return at
        elif depth == 0 and text[at : at + 4] in (" && ", " || "):
            return at
        at += 1
    return at


def end_of_call(text, at):
    """Behind the bracket that closes the one before `at`."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return at


def bounds_of(text):
    """Places behind which a shift is added, in order."""
    code = without_comments(text)
    places = []
    for m in re.finditer(r" (<|<=|>|>=) (?=\S)", code):
        if "sizeof" in code[code.rfind("\n", 0, m.start()) : code.find("\n", m.end())]:
            continue  # decided when it is compiled
        places.append(end_of_operand(code, m.end()))
    for m in re.finditer(r" [-+] 1(?![\w.])", code):
        places.append(m.end())
    for m in re.finditer(r"\bdivided_up\(", code):
        if code[: m.start()].rstrip().endswith("int64_t"):
            continue  # where it is defined
        places.append(end_of_call(code, m.end()))
    return sorted(set(places))


def write(sources, out):
    sites, barriers = [], []
    target = out / "holon"
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(sources.iterdir()):
        if path.suffix not in (".cuh", ".cu"):
            continue
        text = path.read_text()
        lines = text.splitlines()
        pieces, last, seen = [], 0, {}
        for place in bounds_of(text):
            line = text.count("\n", 0, place) + 1
            seen[line] = seen.get(line, -1) + 1
            sites.append({"site": len(sites) + 1, "file": path.name, "line": line, "bound": seen[line],
                          "text": lines[line - 1].strip()})
            pieces += [text[last:place].rstrip(" "), f" + host_cuda::off({len(sites)}) "]
            last = place
        new = "".join(pieces) + text[last:]
        if not (target / path.name).exists() or (target / path.name).read_text() != new:
            (target / path.name).write_text(new)
        barriers += [{"file": path.name, "line": number, "text": line.strip()} for number, line in enumerate(lines, 1)
                     if "__syncthreads();" in line.split("//")[0]]
    (out / "sites.json").write_text(json.dumps({"bounds": sites, "barriers": barriers}, indent=1))
    print(f"{len(sites)} bounds and {len(barriers)} barriers")


def why_equivalent(site, shift):
    for file, piece, bound, shifts, why in EQUIVALENT:
        if site["file"] == file and piece in site["text"] and bound in (None, site["bound"]) and shift in shifts:
            return why
    return None


def run_one(program, mutant, tags):
    """How the tests noticed; None if they did not."""
    environment = dict(os.environ, HOLON_MUTANT=mutant, OMP_NUM_THREADS="1")
    try:
        done = subprocess.run([program, "-a", tags], env=environment, capture_output=True, timeout=300)
    except subprocess.TimeoutExpired:
        return "does not end"
    if done.returncode == 0:
        return None
    said = (done.stdout + done.stderr).decode(errors="replace")
    for pattern in (r"ERROR: AddressSanitizer: \S+", r"runtime error: [^\n]{0,60}", r"shared memory: [^\n]{0,60}", r"divergent barrier"):
        found = re.search(pattern, said)
        if found:
            return found.group()
    return "wrong numbers" if "FAILED" in said else f"exit code {done.returncode}"


def run(program, listing, jobs, part, only):
    tests = subprocess.run([program, "-a"], capture_output=True)
    if tests.returncode != 0:
        print("the tests fail before anything is broken:", tests.stdout.decode(errors="replace")[-2000:])
        return 2
    mutants = []
    for b in listing["barriers"]:
        mutants.append((b, f"barrier {b['file']} {b['line']}", "without the barrier"))
    equivalent = 0
    for b in listing["bounds"]:
        for shift in (-1, 1):
            if why_equivalent(b, shift):
                equivalent += 1
                continue
            mutants.append((b, f"bound {b['site']} {shift}", f"bound {b['bound']} {shift:+d}"))
    mutants = [m for m in mutants if only in (None, m[0]["file"])]
    mutants = mutants[part[0] - 1 :: part[1]]
    caught = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        work = [(pool.submit(run_one, program, mutant, TAGS.get(where["file"], "[gpu]")), where, what)
                for where, mutant, what in mutants]
        for future, where, what in work:
            how = future.result()
            caught += how is not None
            print(f"{where['file']}:{where['line']} {what}: {how or 'SURVIVED'}  | {where['text']}", flush=True)
    print(f"{equivalent} moved bounds change nothing that could be seen, for reasons given in mutants.py")
    print(f"mutants: {caught} of {len(mutants)} caught")
    return 0 if caught == len(mutants) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", nargs=2, type=pathlib.Path, metavar=("SOURCES", "OUT"))
    parser.add_argument("--run", nargs=2, metavar=("PROGRAM", "SITES"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--part", default="1/1", help="K/N: every N-th mutant, from the K-th")
    parser.add_argument("--only", help="mutants of this file")
    given = parser.parse_args()
    if given.write:
        write(*given.write)
    if given.run:
        part = [int(x) for x in given.part.split("/")]
        return run(given.run[0], json.loads(pathlib.Path(given.run[1]).read_text()), given.jobs, part, given.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
