"""Shell examples of a document, run as a reader would run them: in order, in one shell, in a folder of their own."""
import os
import pathlib
import re
import subprocess

from node import BUILD, ROOT

BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.M | re.S)


def blocks(document):
    """(kind, text) of each fenced block, in order."""
    return BLOCK.findall((ROOT / document).read_text())


class Shell:
    """One bash in which examples run one after the other, so that variables and functions last."""

    def __init__(self, undo, directory, **environment):
        path = f"{BUILD / 'tools' / 'pgrid'}:{BUILD / 'tools' / 'load'}:{os.environ['PATH']}:{pathlib.Path.home() / '.cargo' / 'bin'}"
        self.process = subprocess.Popen(["bash", "--norc"], cwd=directory, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env={**os.environ, **environment, "PATH": path})
        self.marks = 0
        undo.later(self._end)

    def _end(self):
        """Ends what the examples left running, too: `kill` and `wait` reach the shell's own children only."""
        try:
            self.process.communicate("kill $(jobs -p) 2>/dev/null; wait; exit\n", timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def run(self, text):
        """Runs lines; returns (exit status of the last one, what all of them printed)."""
        self.marks += 1
        mark = f"=== example {self.marks} ended with"
        # Braces, not a subshell: what the lines define lasts. They have no standard input, which is these lines.
        self.process.stdin.write(f"{{ {text.rstrip()}\n}} </dev/null\nstatus=$?; echo; echo '{mark}' $status\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith(mark):
                return int(line.split()[-1]), "".join(lines).removesuffix("\n")
            lines.append(line)
        raise AssertionError(f"the shell ended: {''.join(lines)}")
