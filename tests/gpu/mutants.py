#!/usr/bin/env python3
"""Breaks every barrier and every bound of the kernels, one at a time, and asks whether a test notices.

    mutants.py --write SOURCES OUT     copies the kernels, every bound and size followed by `+ host_cuda::off(SITE)`, and
                                       lists the sites in OUT/sites.json; without HOLON_MUTANT set, the copies do what the
                                       sources do
    mutants.py --run PROGRAM SITES [--jobs N] [--part K/N] [--only FILE]
                                       runs the tests once for every mutant; last line `mutants: C of T caught`, and exit
                                       code 1 unless all are

A bound is the right side of a comparison (<, <=, >, >=), a step of one to the side of something (`- 1`, `+ 1`), or a number
of blocks (`divided_up`); each is moved by one both ways. Shared memory is made one element smaller. A barrier, or a fence, is
taken out.
Mutants that change nothing a test could see stand in EQUIVALENT, each with its reason.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys

# (file, a piece of the line, which bound of that line from 0 or None for all, shifts, why no test can see it)
EQUIVALENT = [
    ("dropout.cuh", "4 * block < count", 0, (1,), "the group that begins at the end is empty: each of its four elements has its own bound"),
    ("affine_warp.cuh", "determinant * determinant < 1e-12", 0, (1,), "more pixels look through everything, which finds the same readers"),
    ("columns.cuh", "row + reach < rows", 0, (1,), "rows that no group takes are taken one by one, in the same order"),
    ("columns.cuh", "row + reach < rows", 1, (-1,), "rows that no group takes are taken one by one, in the same order"),
]

# Tests of a file, by Catch's tags. Those of far ends see nothing more.
TAGS = {
    "affine_warp.cuh": "[warp]~[far]",
    "average_pool2d.cuh": "[pooling]~[far]",
    "batch_norm.cuh": "[batch_norm]~[far]",
    "batch_norm_pair.cuh": "[batch_norm]~[far]",
    "channel_sums.cuh": "[batch_norm]~[far]",
    "channels.cuh": "[elementwise]~[far]",
    "classify.cuh": "[classify]~[far]",
    "columns.cuh": "[batch_norm]~[far]",
    "dropout.cuh": "[dropout]~[far]",
    "elementwise.cuh": "[elementwise]~[far]",
    "batch_norm.cu": "[grid]",
    "kernels.cu": "[grid],[optimizer]~[far],[reduce]~[far]",
    "pool2d.cu": "[grid]",
    "launch.cuh": "[grid]",
    "max_pool2d.cuh": "[pooling]~[far]",
    "optimizer.cuh": "[optimizer]~[far]",
    "reduce.cuh": "[reduce]~[far],[optimizer]~[far],[classify]~[far]",
    "windows.cuh": "[pooling]~[far]",
    "vocabulary.cuh": "[elementwise]~[far],[pooling]~[far],[warp]~[far]",
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


def sites_of(text):
    """(place behind which a shift is added, the shifts), in order."""
    code = without_comments(text)
    places, sizes = [], []
    for m in re.finditer(r" (<|<=|>|>=) (?=\S)", code):
        line = code[code.rfind("\n", 0, m.start()) : code.find("\n", m.end())]
        if "sizeof" in line or "static_assert" in line:
            continue  # decided when it is compiled
        places.append(end_of_operand(code, m.end()))
    for m in re.finditer(r" [-+] 1(?![\w.])", code):
        places.append(m.end())
    for m in re.finditer(r"\bdivided_up\(", code):
        if code[: m.start()].rstrip().endswith("int64_t"):
            continue  # where it is defined
        places.append(end_of_call(code, m.end()))
    for m in re.finditer(r"\bHOLON_SHARED\(", code):
        sizes.append(end_of_call(code, m.end()) - 1)
    return sorted([(place, (-1, 1)) for place in set(places)] + [(place, (-1,)) for place in sizes])


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
        for place, shifts in sites_of(text):
            line = text.count("\n", 0, place) + 1
            seen[line] = seen.get(line, -1) + 1
            sites.append({"site": len(sites) + 1, "file": path.name, "line": line, "bound": seen[line],
                          "shifts": shifts, "text": lines[line - 1].strip()})
            pieces += [text[last:place].rstrip(" "), f" + host_cuda::off({len(sites)}) "]
            last = place
        (target / path.name).write_text("".join(pieces) + text[last:])
        barriers += [{"file": path.name, "line": number, "text": line.strip()} for number, line in enumerate(lines, 1)
                     if re.search(r"__(syncthreads|threadfence)\(\);", line.split("//")[0])]
    (out / "sites.json").write_text(json.dumps({"bounds": sites, "barriers": barriers}, indent=1))
    print(f"{len(sites)} bounds and sizes, and {len(barriers)} barriers")


def why_equivalent(site, shift):
    for file, piece, bound, shifts, why in EQUIVALENT:
        if site["file"] == file and piece in site["text"] and bound in (None, site["bound"]) and shift in shifts:
            return why
    return None


def run_one(program, mutant, tags, limit):
    """How the tests noticed; None if they did not. `limit` is processor time, which does not pass while a machine is busy
    with something else."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    if mutant:
        environment["HOLON_MUTANT"] = mutant
    with subprocess.Popen([program, "-a", tags], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as test:
        resource.prlimit(test.pid, resource.RLIMIT_CORE, (0, 0))
        resource.prlimit(test.pid, resource.RLIMIT_CPU, (limit, limit + 5))
        said = test.communicate()[0].decode(errors="replace")
    if test.returncode == 0:
        return None
    if test.returncode == -signal.SIGXCPU:
        return f"does not end: {limit} s of processor time"
    for pattern in (r"ERROR: AddressSanitizer: \S+", r"runtime error: [^\n]{0,60}", r"(?:shared|global) memory: [^\n]{0,60}", r"divergent barrier"):
        found = re.search(pattern, said)
        if found:
            return found.group()
    return "wrong numbers" if "FAILED" in said else f"exit code {test.returncode}"


def processor_seconds(program, tags):
    """What the tests take unbroken; None if they fail."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    failure = run_one(program, None, tags, 3600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if failure:
        print(f"the tests {tags} fail before anything is broken: {failure}")
        return None
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def without_a_place(listing):
    """Entries of EQUIVALENT that stand for no bound any more."""
    return [entry for entry in EQUIVALENT
            if not any(b["file"] == entry[0] and entry[1] in b["text"] for b in listing["bounds"])]


def mutants_of(listing, only):
    """(where, what HOLON_MUTANT says, what to print) of every mutant, and how many more change nothing."""
    mutants, equivalent = [], 0
    for b in listing["barriers"]:
        mutants.append((b, f"barrier {b['file']} {b['line']}", "without the barrier"))
    for b in listing["bounds"]:
        for shift in b["shifts"]:
            if why_equivalent(b, shift):
                equivalent += only in (None, b["file"])
                continue
            mutants.append((b, f"bound {b['site']} {shift}", f"bound {b['bound']} {shift:+d}"))
    return [m for m in mutants if only in (None, m[0]["file"])], equivalent


def run(program, listing, jobs, part, only):
    for entry in without_a_place(listing):
        print("EQUIVALENT names what is not there any more:", *entry[:2])
        return 2
    mutants, equivalent = mutants_of(listing, only)
    mutants = mutants[part[0] - 1 :: part[1]]
    limits = {}  # by tags
    for file in sorted({where["file"] for where, _, _ in mutants}):
        if TAGS[file] not in limits:
            seconds = processor_seconds(program, TAGS[file])
            if seconds is None:
                return 2
            print(f"{TAGS[file]}: {seconds:.1f} s of processor time unbroken", flush=True)
            limits[TAGS[file]] = int(max(20, 10 * seconds))
    counts = {}  # by file: caught, all
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        work = {pool.submit(run_one, program, mutant, TAGS[where["file"]], limits[TAGS[where["file"]]]): (where, what)
                for where, mutant, what in mutants}
        for future in concurrent.futures.as_completed(work):
            where, what = work[future]
            how = future.result()
            caught, all_of_file = counts.get(where["file"], (0, 0))
            counts[where["file"]] = (caught + (how is not None), all_of_file + 1)
            print(f"{where['file']}:{where['line']} {what}: {how or 'SURVIVED'}  | {where['text']}", flush=True)
    for file, (caught, all_of_file) in sorted(counts.items()):
        print(f"{file}: {caught} of {all_of_file}")
    caught = sum(c for c, _ in counts.values())
    print(f"{equivalent} more change nothing that could be seen, for reasons given in mutants.py")
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
