"""What a process and its children hold: for tests that nothing grows."""
import collections
import os
import re

Child = collections.namedtuple("Child", "pid name state")


def children(parent):
    """The processes of a parent, zombies as well."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="latin-1") as f:
                head, _, rest = f.read().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, ppid = rest.split()[:2]
        if int(ppid) == parent:
            found.append(Child(int(name), head.partition("(")[2], state))
    return sorted(found)


def descriptors(pid):
    """What a process has open, nothing if it has ended; of pipes and sockets only that they are some."""
    found = []
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            found.append(re.sub(r":\[\d+\]$", "", os.readlink(f"/proc/{pid}/fd/{name}")))
    except (FileNotFoundError, ProcessLookupError):
        return []
    return sorted(found)


def memory(pid):
    """{"Rss": bytes, "Anonymous": bytes}. Anonymous counts the heap, whether or not a child still
    shares its pages; Private_Dirty would change with the children there happen to be."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        fields = [line.split() for line in f]
    return {name[:-1]: int(value[0]) * 1024 for name, *value in fields if name in ("Rss:", "Anonymous:")}


def shared_maps(pid):
    """The shared memory of a process: its mappings, which hold its semaphores as well, and its
    System V segments."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as f:
        found = [line.split(maxsplit=5)[5].strip() for line in f if line.split()[1][3] == "s"]
    with open("/proc/sysvipc/shm", encoding="ascii") as f:
        found += ["shm" for line in f.readlines()[1:] if int(line.split()[4]) == pid]
    return sorted(found)
