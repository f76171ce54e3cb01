"""Runs the benchmarks and prints their table. Run it with ./dev bench.

bench.py [--check] [--quick] [NAME]...

NAME      export, export-records, growth, get, list, auth, post, dispatch, small, download; no name: all
--check   exit with 1, and name each line that is not as wanted
--quick   once each, and small: tries the benchmarks themselves, its figures mean nothing

The table is also written to build/bench.json and, for the README, to build/bench.md.
"""
import argparse
import dataclasses
import importlib
import json
import os
import platform
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[0] = os.path.join(TOP, "tests")  # not this folder, whose bench.py would be the package

from bench.measure import Bench  # noqa: E402

# Name, and the module with its function run_NAME(bench).
BENCHES = {"export": "exports", "export-records": "exports", "growth": "exports", "get": "requests",
           "list": "requests", "auth": "requests", "post": "requests", "dispatch": "runs",
           "small": "runs", "download": "downloads"}


def number(value):
    """Three figures that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def table(lines):
    """The lines as Markdown."""
    rows = [("Benchmark", "What", "mod_udm", "Beside", "Ratio", "Wanted")]
    for line in lines:
        beside = f"{line.beside}: {number(line.theirs)} {line.unit}" if line.beside else ""
        spread = f" ({line.low:.2f}–{line.high:.2f})" if line.low != line.high else ""
        rows.append((f"`{line.bench}`", line.what, f"{number(line.ours)} {line.unit}", beside,
                     f"{line.ratio:.2f}{spread}",
                     f"{line.wanted}{'' if line.met else ' (not met)'}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
            for row in rows]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def report(bench):
    """Prints the table and writes both files."""
    facts = ", ".join(f"{name} {value}" for name, value in sorted(bench.facts.items()))
    text = (f"{time.strftime('%Y-%m-%d')}, {bench.cores} cores of {cpu_name()}, "
            f"{memory_gib():.0f} GiB, Linux {platform.release()}\n{facts}\n\n{table(bench.lines)}\n")
    print(text)
    build = os.path.join(TOP, "build")
    with open(os.path.join(build, "bench.md"), "w", encoding="utf-8") as f:
        f.write(text)
    with open(os.path.join(build, "bench.json"), "w", encoding="utf-8") as f:
        json.dump({"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cores": bench.cores,
                   "cpu": cpu_name(), "memory_gib": round(memory_gib(), 1),
                   "kernel": platform.release(), "facts": bench.facts, "quick": bench.quick,
                   "lines": [dict(dataclasses.asdict(line), met=line.met) for line in bench.lines]},
                  f, indent=2)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--check", action="store_true", help="exit with 1 when a line is not as wanted")
    parser.add_argument("--quick", action="store_true", help="once each, and small")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in BENCHES:
            parser.error(f"there is no benchmark '{name}': {', '.join(BENCHES)}")
    bench = Bench(TOP, os.path.join(TOP, "build", "bench"), arguments.quick)
    failed = []
    try:
        for name in arguments.names or BENCHES:
            print(f"== {name}", file=sys.stderr, flush=True)
            module = importlib.import_module(f"bench.{BENCHES[name]}")
            try:
                getattr(module, "run_" + name.replace("-", "_"))(bench)
            except (AssertionError, subprocess.CalledProcessError) as error:
                # What the others measured is not lost.
                failed.append(name)
                bench.say(f"{name} could not be measured: {error}")
    finally:
        bench.close()
    report(bench)
    missed = [line for line in bench.lines if not line.met]
    for line in missed:
        print(f"not met: {line.bench}: {line.what}{' beside ' + line.beside if line.beside else ''}:"
              f" {line.ratio:.2f}, wanted {line.wanted}")
    for name in failed:
        print(f"not measured: {name}")
    return 1 if failed or (arguments.check and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
