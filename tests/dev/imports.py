"""A check of ./dev lint: what the Python of a suite, and of the harness, imports is in its packages.

    imports.py SUITE PACKAGE...
"""
import glob
import os
import re
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    suite, packages = sys.argv[1], sys.argv[2:]
    found = [path for folder in ("", "udmtest", suite) for path in glob.glob(os.path.join(TESTS, folder, "*"))]
    ours = {os.path.splitext(os.path.basename(path))[0] for path in found}
    imported = set()
    for path in found:
        if path.endswith(".py"):
            with open(path, encoding="utf-8") as f:
                imported.update(re.findall(r"^ *(?:import|from) (\w+)", f.read(), re.MULTILINE))
    missing = sorted(imported - sys.stdlib_module_names - ours - {p.removeprefix("python3-") for p in packages})
    if missing:
        print(f"tests/dev/packages.sh: the suite {suite} imports {', '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
