"""What the machine is, what it has, and what a measurement needs of it."""
import os
import pathlib
import platform

HUGE_PAGE_KIB = 2048
POOL = pathlib.Path("/proc/sys/vm/nr_hugepages")


class Shortage(Exception):
    """The machine lacks what a measurement needs: it is said, and the measurement left out."""


def cpus():
    """CPUs that this process may use, ascending: the first polls, the second runs functions."""
    return sorted(os.sched_getaffinity(0))


def need_cpus(count, have=None):
    have = len(cpus()) if have is None else have
    if have < count:
        raise Shortage(f"needs {count} CPUs, and here are {have}")


def facts():
    """For the report: which machine, and how busy it was."""
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cpus": len(cpus()), "kernel": platform.release(), "load_average": round(os.getloadavg()[0], 2)}


def load_average():
    return round(os.getloadavg()[0], 2)


def free_huge_pages():
    fields = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    return int(fields.get("HugePages_Free", "0").split()[0]) - int(fields.get("HugePages_Rsvd", "0").split()[0])


class HugePages:
    """Makes sure that so many are free, and gives back at the end what it took from the kernel."""

    def __init__(self):
        self.before = None

    def need(self, count):
        missing = count - free_huge_pages()
        if missing <= 0:
            return
        try:
            now = int(POOL.read_text())
            POOL.write_text(str(now + missing))
        except (OSError, ValueError) as error:
            raise Shortage(f"needs {count} free huge pages of 2 MiB, and vm.nr_hugepages cannot be raised ({error})") from None
        if self.before is None:
            self.before = now
        if free_huge_pages() < count:
            raise Shortage(f"needs {count} free huge pages of 2 MiB, and the kernel finds only {free_huge_pages()}: "
                           "memory is short or in pieces")

    def give_back(self):
        if self.before is not None:
            POOL.write_text(str(self.before))


def pages_of(mib):
    return -(-mib * 1024 // HUGE_PAGE_KIB)


def cpu_seconds(pid):
    """That a process has used, all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid, inside=None):
    """Resident bytes of a process, page by page (smaps). `inside(start, end)`: count only such mappings."""
    total, wanted = 0, True
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = line.split()
        if "-" in head[0] and not head[0].endswith(":"):
            start, end = (int(part, 16) for part in head[0].split("-"))
            wanted = inside is None or inside(start, end)
        elif wanted and head[0] == "Rss:":
            total += int(head[1]) << 10
    return total


def pool_of_memories(pid, at_least=4 << 30):
    """(start, end) of the largest piece of addresses without gaps in a worker: Wasmtime's pool reserves 4 GiB for every linear
    memory, side by side. Everything else of a worker is smaller."""
    best, piece = (0, 0), None
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        piece = (piece[0], end) if piece and piece[1] == start else (start, end)
        if piece[1] - piece[0] > best[1] - best[0]:
            best = piece
    if best[1] - best[0] < at_least:
        raise LookupError(f"process {pid} has no pool of linear memories")
    return best
