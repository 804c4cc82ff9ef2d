"""Puts a test into namespaces of its own, and undoes what it did, last in first out."""
import ctypes
import os
import subprocess
import sys
import time

MARK = "PGRID_TEST_NAMESPACE"
SKIP = 77  # meson's exit status for "cannot run here"


def enter():
    """Runs this program again under `unshare --mount --net`, with an empty tmpfs on /run/netns; returns in the child.

    Whatever a killed test leaves (interfaces, addresses, network namespaces) disappears with its last process, and names
    cannot collide with another test's. Every descendant dies with the test: see `die_with_parent`.
    """
    if os.environ.get(MARK) == "1":
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        os.makedirs("/run/netns", exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root, for namespaces and TAP ports")
        sys.exit(SKIP)
    if not os.path.exists("/dev/net/tun"):
        print("1..0 # SKIP needs /dev/net/tun")
        sys.exit(SKIP)
    os.environ[MARK] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--net", sys.executable, *sys.argv])


def die_with_parent():
    """For Popen(preexec_fn=...): SIGTERM when the test dies, however it dies."""
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM


def poll(condition, seconds, what):
    """Waits until condition() is true, and returns what it returned. Fails with `what` after `seconds`.

    An exception that condition() raises counts as not yet; the last one is told when time is up.
    """
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except (OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}" + (f" ({last})" if last else ""))
        time.sleep(0.02)


class Undo:
    """Steps to take at the end, last in first out, every one of them even when some fail."""

    def __init__(self):
        self.steps = []

    def later(self, step, *arguments):
        self.steps.append((step, arguments))

    def run(self):
        errors = []
        while self.steps:
            step, arguments = self.steps.pop()
            try:
                step(*arguments)
            except Exception as error:  # told below; the other steps must still run
                errors.append(error)
        if errors:
            raise errors[0]
