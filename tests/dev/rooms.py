"""A check of ./dev lint: the rooms of mod_udm/ know each other only as CONTRIBUTING.md has it.

A unit is X.c and X.h, named room/X. It knows another one when it includes its header, and one of its
room also when it calls a function of it, which may stand in a header that several share. Said, and ended
with 1 for, are: an arrow to a room that is not in ROOMS; a circle of units; an include that does not
name its room; a file of C that is too long; and an exception that nothing needs any more.
"""
import fnmatch
import glob
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LONGEST = 600  # lines

# What each room may know beside itself.
ROOMS = {
    "core": "",
    "pg": "core",
    "db": "core pg",
    "source": "core pg",
    "store": "core",
    "export": "core source store",
    "httpd": "core pg db store",
    "worker": "core pg db source store export",
    "decrypt": "core",
}

# What is not as it should be yet, and what would mend it. An arrow's ends may be patterns.
ARROWS = {
}
# Each is to be split.
LONG = {
}


def read(pattern):
    """{path below TOP: text without comments, with the lines that it had}."""
    result = {}
    for path in sorted(glob.glob(os.path.join(TOP, pattern))):
        with open(path, encoding="utf-8") as f:
            result[os.path.relpath(path, TOP)] = re.sub(
                r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), f.read(), flags=re.DOTALL)
    return result


def unit_of(path):
    return os.path.splitext(path)[0].removeprefix("mod_udm/")


def arrows_of(files):
    """{(unit, unit that it knows)}."""
    bare = {path: re.sub(r'"(\\.|[^"\\\n])*"', '""', text) for path, text in files.items() if path.endswith(".c")}
    defined = {(os.path.dirname(unit_of(path)), name): unit_of(path) for path, text in bare.items()
               for name in re.findall(r"^(?!static|typedef)\w[\w *]*?\b(\w+)\([^;{}]*\)\s*\{", text, re.MULTILINE)}
    arrows = {(unit_of(path), other) for path, text in files.items()
              for other in re.findall(r'^#include "(\w+/\w+)\.h"', text, re.MULTILINE)}
    arrows |= {(unit_of(path), defined.get((os.path.dirname(unit_of(path)), name), unit_of(path)))
               for path, text in bare.items() for name in set(re.findall(r"\w+", text))}
    return {(a, b) for a, b in arrows if a != b}


def circles(arrows):
    """The sets of units each of which leads to all of its set."""
    known = {}
    for a, b in arrows:
        known.setdefault(a, set()).add(b)

    def reach(unit):
        found, todo = set(), [unit]
        while todo:
            more = known.get(todo.pop(), set()) - found
            found |= more
            todo += more
        return found
    reached = {unit: reach(unit) for unit in known}
    return {frozenset(b for b in found if a in reached.get(b, ())) for a, found in reached.items() if a in found}


def is_excepted(arrow, pattern):
    return all(fnmatch.fnmatchcase(unit, end) for unit, end in zip(arrow, pattern.split(" -> ")))


def wrong_arrows(files):
    room = os.path.dirname
    arrows = arrows_of(files)
    strays = {(a, b) for a, b in arrows if room(a) != room(b) and room(b) not in ROOMS.get(room(a), "").split()}
    excepted = {pattern: {arrow for arrow in arrows if is_excepted(arrow, pattern)} for pattern in ARROWS}
    left = arrows.difference(*excepted.values())
    for a, b in sorted(strays & left):
        yield f"{a} knows {b}: {room(a)}/ may know {ROOMS.get(room(a)) or 'no other room'}"
    for circle in sorted(sorted(circle) for circle in circles(left)):
        yield f"a circle: {' '.join(circle)}"
    for pattern, those in excepted.items():
        # Without it there is a stray, or a circle more.
        if not those & strays and circles(left | those) == circles(left):
            yield f"no exception any more: {pattern}"


def wrong_includes(files):
    for path, text in files.items():
        for number, line in enumerate(text.split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*"([^"]*)"', line)
            if match is None or match[1] == "config.h":
                continue
            beside = os.path.join(os.path.dirname(path), match[1])
            if os.path.dirname(match[1]) in ROOMS:
                found = os.path.join(TOP, "mod_udm", match[1])
            else:
                found = os.path.join(TOP, beside) if path.startswith("tests/") else ""
            if not os.path.exists(found):
                yield f"{path}:{number}: an include that does not name its room, or what there is not: {match[1]}"


def wrong_lengths(files):
    excepted = {f"{folder}/{name}" for folder, names in LONG.items() for name in names.split()}
    long = {path for path, text in files.items() if text.count("\n") > LONGEST}
    for path in sorted(long - excepted):
        yield f"{path} has more than {LONGEST} lines"
    for path in sorted(excepted - long):
        yield f"no exception any more: {path}"


def main():
    files = read("mod_udm/*/*.[ch]")
    everything = {**files, **read("tests/*/*.[ch]")}
    wrong = [*wrong_arrows(files), *wrong_includes(everything), *wrong_lengths(everything)]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
