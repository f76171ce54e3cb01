"""Watches log files: what appears in one that no test expected is a failure, and so is a secret."""
import os
import re

# What both httpd ("[udm:error]", "[mpm_event:warn]") and udm-worker ("udm-worker[7] error: ...") say
# when something is wrong, and what a sanitizer says; and in PostgreSQL's log what udmtest/shadow.py says.
TROUBLE = re.compile(r"\[[a-z0-9_]*:(emerg|alert|crit|error|warn)\]"
                     r"|udm-worker\[\d+\] (error|warn(ing)?):"
                     r"|LOG:  UDM-SHADOW|AddressSanitizer|LeakSanitizer|runtime error:|Segmentation fault|exit signal")


class LogWatch:
    """One log file. check() fails on every line of trouble since the last check."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.allowed = []

    def allow(self, pattern):
        """Lines that match are expected until the next check."""
        self.allowed.append(re.compile(pattern))

    def new_lines(self):
        try:
            with open(self.path, "rb") as f:
                f.seek(self.offset)
                data = f.read()
        except FileNotFoundError:
            return []
        whole, newline, _rest = data.rpartition(b"\n")
        self.offset += len(whole) + len(newline)
        return whole.decode("utf-8", "replace").splitlines()

    def unexpected(self, always=()):
        lines = [line for line in self.new_lines() if TROUBLE.search(line)
                 and not any(p.search(line) for p in [*self.allowed, *always])]
        self.allowed = []
        return lines

    def renamed(self, path):
        """The file has another name now, and a new one will have the old: a watch for the former."""
        moved = LogWatch(path)
        moved.offset, moved.allowed, self.offset = self.offset, list(self.allowed), 0
        return moved

    def text(self):
        try:
            with open(self.path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""


class Secrets:
    """Keys, tokens and signatures that were used: none may stand in any log."""

    def __init__(self):
        self.values = set()

    def add(self, value):
        if value and len(value) >= 16:
            self.values.add(value)
        return value

    def find(self, paths):
        """Pairs of (path, the first characters of the secret) that were found. Of a token, the
        signature alone is looked for too."""
        needles = set()
        for value in self.values:
            needles.add(value.encode())
            if value.count(".") == 2:
                needles.add(value.rpartition(".")[2].encode())
            if value.startswith("udm_"):
                needles.add(value.rpartition("_")[2].encode())
        needles.discard(b"")
        found = []
        for path in paths:
            if not os.path.exists(path):
                continue
            with open(path, "rb") as f:
                text = f.read()
            found += [(path, needle[:12].decode() + "...") for needle in needles
                      if len(needle) >= 16 and needle in text]
        return found
