#!/usr/bin/env python3
"""Prints what can be said of the kernels without a GPU: registers, spills, and how many reads a thread has under way.

    kernel_table.py OBJECT... [--arch sm_90] [--match WORDS] [--threads N] [--csv FILE]

OBJECT is a cubin, or an object or library that nvcc made. Columns: `registers` and `stack` (bytes a thread, 0: nothing
spilled) as the compiler says; `loads`, the most reads of global memory that a thread of a loop issues in straight-line code
before the first instruction that needs one of them; `bytes`, theirs together; `blocks`, the blocks of N threads that the
registers let a multiprocessor hold (of 65,536 registers and 2,048 threads); `KB`, the bytes that a multiprocessor so has
under way. Branches are not followed: a read that a branch skips counts."""
import argparse
import csv
import re
import subprocess
import sys

REGISTERS, THREADS = 65536, 2048


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def resources(target, arch):
    """(registers, stack bytes) by mangled name."""
    found = {}
    for name, registers, stack in re.findall(r"Function (\S+):\s*REG:(\d+) STACK:(\d+)", output("cuobjdump", *arch, "-res-usage", target)):
        found[name] = int(registers), int(stack)
    return found


def code(target, arch):
    """Instructions by mangled name."""
    functions, now = {}, None
    for line in output("cuobjdump", *arch, "-sass", target).splitlines():
        start = re.match(r"\s*Function : (\S+)", line)
        if start:
            now = functions.setdefault(start.group(1), [])
        instruction = re.match(r"\s*/\*([0-9a-f]{4,})\*/\s+(.*?);", line)
        if instruction and now is not None:
            now.append((int(instruction.group(1), 16), instruction.group(2)))
    return functions


def loops(instructions):
    """The code between the targets of branches that go back and these branches; all of it if there are none."""
    ranges = []
    for at, text in instructions:
        target = re.search(r"\bBRA\b.*?(0x[0-9a-f]+)", text)
        if target and int(target.group(1), 16) < at:
            ranges.append((int(target.group(1), 16), at))
    inner = [r for r in ranges if not any(r != o and r[0] <= o[0] and o[1] <= r[1] for o in ranges)]
    return [[text for at, text in instructions if a <= at <= b] for a, b in inner] or [[text for _, text in instructions]]


def reads_under_way(instructions):
    """(loads, bytes) at the moment when most bytes are under way."""
    best, flying = (0, 0), {}  # first register: (registers, bytes)
    for text in instructions:
        words = re.sub(r"^@!?U?P\w+\s+", "", text)
        name = words.split()[0]
        load = re.match(r"LDG\.(\S*?)\s*(?:P\w+, )?R(\d+)", words.replace(" ", " "))
        used = {int(r) for r in re.findall(r"\bR(\d+)", words)}
        wide = "128" in name and 4 or "64" in name and 2 or 1
        if load:
            into = int(load.group(2))
            used -= set(range(into, into + wide))
        # What a load writes is waited for by whoever touches it; an operand of 64 bits names its first register.
        near = used | {r + 1 for r in used}
        flying = {r: v for r, v in flying.items() if not near & set(range(r, r + v[0]))}
        if re.match(r"(BRA|EXIT|RET|CALL|BAR|WARPSYNC\.ALL)", name):
            if name.startswith("BAR"):
                flying = {}
            continue
        if load:
            size = 16 if "128" in name else 8 if ".64" in name else 1 if ".U8" in name or ".S8" in name else 2 if "16" in name else 4
            flying[into] = wide, size
            now = len(flying), sum(v[1] for v in flying.values())
            best = max(best, now, key=lambda b: (b[1], b[0]))
    return best


def plain(name):
    """A demangled name without what repeats."""
    name = re.sub(r"\(anonymous namespace\)::|holon::gpu::|holon::|void ", "", name)
    for number, word in enumerate(("nothing", "x", "bits")):
        name = name.replace(f"(MaskBy){number}", word)
    name = re.sub(r"\((?:bool|__nv_bool)\)1", "true", re.sub(r"\((?:bool|__nv_bool)\)0", "false", name))
    name = re.sub(r"\(int\)(\d+)", r"\1", name)
    depth = 0
    for at, c in enumerate(name):  # cut the parameters
        depth += {"<": 1, ">": -1}.get(c, 0)
        if c == "(" and depth == 0:
            return name[:at]
    return name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("object", nargs="+")
    parser.add_argument("--arch")
    parser.add_argument("--match", default="")
    parser.add_argument("--threads", type=int, default=256)
    parser.add_argument("--csv")
    o = parser.parse_args()
    arch = ["-arch", o.arch] if o.arch else []
    used, functions = {}, {}
    for target in o.object:
        kernels = resources(target, arch)
        if not kernels:
            sys.exit(f"kernel_table: no kernels{' of ' + o.arch if o.arch else ''} in {target}")
        used.update(kernels)
        functions.update(code(target, arch))
    names = sorted(used)
    shown = dict(zip(names, output("c++filt", *names).splitlines()))
    rows = []
    for mangled in names:
        name = plain(shown[mangled])
        if not re.search(o.match, name):
            continue
        registers, stack = used[mangled]
        loads, size = max((reads_under_way(body) for body in loops(functions[mangled])), key=lambda b: (b[1], b[0]))
        allotted = (registers + 7) // 8 * 8
        blocks = min(REGISTERS // (allotted * o.threads), THREADS // o.threads)
        rows.append([name, registers, stack, loads, size, blocks, round(size * blocks * o.threads / 1024)])
    rows.sort()
    head = ["kernel", "registers", "stack", "loads", "bytes", "blocks", "KB"]
    if o.csv:
        with open(o.csv, "w", newline="") as file:
            csv.writer(file).writerows([head, *rows])
    print("{:<86}{:>10}{:>6}{:>6}{:>6}{:>7}{:>5}".format(*head))
    for row in rows:
        print("{:<86}{:>10}{:>6}{:>6}{:>6}{:>7}{:>5}".format(*row))


main()
