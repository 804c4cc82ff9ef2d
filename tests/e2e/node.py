"""A node under test: writes node.toml, runs `pgrid up`, talks to it, and takes stopping as a check."""
import base64
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

from sandbox import die_with_parent, poll

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PGRID_BUILD", ROOT / "build"))
PGRID = BUILD / "tools" / "pgrid" / "pgrid"
LOAD = BUILD / "tools" / "load" / "pgrid-load"
EXAMPLES = BUILD / "docs" / "examples"
GUESTS = BUILD / "tests" / "e2e"

READY_S = 20  # a cold start compiles nothing; sanitizers and shared cores are slow
STOP_S = 20

# A line of a log that says something went wrong.
TROUBLE = re.compile(r"\b(WARN(ING)?|ERR(OR)?|FATAL|PANIC|CRITICAL)\b|\[(warning|error|critical)\]|Sanitizer|runtime error:"
                     r"|terminate called|CHECK failed|starting it again|does not stop", re.I)
# Lines that DPDK and the kernel write on every machine without NICs or NUMA; they say nothing about the node.
HARMLESS = [
    r"EAL: .*(VFIO|No available hugepages|NUMA|legacy|telemetry|Probe PCI|not bound)",
    r"TELEMETRY: No legacy callbacks",
]


def resident_bytes(pid):
    """Exact, page by page; the figures of /proc/PID/status are not."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) << 10
    raise LookupError(f"no Rss of {pid}")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("pgrid", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class ApiError(ValueError):
    def __init__(self, status, error):
        super().__init__(f"{status} {error.get('code')}: {error.get('message')}")
        self.status, self.code, self.message = status, error.get("code"), error.get("message")


class Node:
    """One node in the calling test's network namespace. Use: node = Node(undo, ...); node.start()."""

    def __init__(self, undo, name="a", device="tap:pg0", v4="192.0.2.1", host_v4="192.0.2.2", v6="2001:db8::1",
                 host_v6="2001:db8::2", idle="sleep", limits="", extra="", poll_cpus=None, worker_cpus=None, shared=None,
                 huge_pages=True):
        """poll_cpus and worker_cpus: CPU numbers, a poll core or a worker each; without them one of each, on the first two
        CPUs. shared: whether a CPU may stand there twice; without it, just when one does."""
        self.name, self.v4, self.v6, self.device = name, v4, v6, device
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"pgrid-e2e-{name}-"))
        self.run = self.directory / "run"
        self.run.mkdir(mode=0o700)
        self.config = self.directory / "node.toml"
        self.log = self.directory / "up.log"
        self.allowed = list(HARMLESS)
        self.process = None
        self.quiet = None
        cpus = sorted(os.sched_getaffinity(0))
        poll_cpus = list(poll_cpus or [cpus[0]])
        worker_cpus = list(worker_cpus or [cpus[min(1, len(cpus) - 1)]])
        if shared is None:
            shared = len(set(poll_cpus + worker_cpus)) < len(poll_cpus + worker_cpus)
        host = f'host_addresses = ["{host_v4}/24", "{host_v6}/64"]\n' if device.startswith("tap:") else ""
        self.config.write_text(
            f'[node]\nname = "{name}-{os.getpid()}"\nidle = "{idle}"\nhuge_pages = {str(huge_pages).lower()}\n\n'
            f'[[port]]\ndevice = "{device}"\naddresses = ["{v4}/24", "{v6}/64"]\n{host}plaintext = true\n\n'
            f'[cores]\npoll = {poll_cpus}\nworkers = {worker_cpus}\nshared = {str(shared).lower()}\n\n'
            f'[limits]\n{limits}\n{extra}\n')
        undo.later(self._clean_up)

    # Life.

    def start(self, ready_s=READY_S):
        self.process = subprocess.Popen(
            [PGRID, "--node", self.run, "up", "--config", self.config], stdin=subprocess.DEVNULL,
            stdout=open(self.log, "ab"), stderr=subprocess.STDOUT, preexec_fn=die_with_parent, start_new_session=True)
        started = time.monotonic()
        self.wait_serving(ready_s)
        self.ready_s = time.monotonic() - started
        if self.quiet is None:
            self.quiet = self.stat()["gauges"]["mbufs_in_use"]
        return self

    def is_serving(self):
        if self.process.poll() is not None:
            raise AssertionError(f"pgrid up ended with status {self.process.returncode}")
        node = self.api("GET", "/v1/node")
        return node["dataplane"] == "attached" and all(w["state"] == "serving" for w in node["workers"])

    def wait_serving(self, seconds=READY_S):
        poll(self.is_serving, seconds, f"node {self.name} serves")

    def stop(self):
        """Stops the node; checks statuses, logs, mbufs, in-flight entries and the books."""
        self.check_quiet()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"pgrid up still runs {STOP_S} s after SIGTERM") from None
        assert status == 0, f"pgrid up ended with status {status}"
        assert not self.pids(), f"processes left: {self.pids()}"
        left = [p.name for p in self.run.glob("*.sock")]
        assert not left, f"sockets left: {left}"
        self.check_log()

    def check_quiet(self):
        """Everything received has ended, nothing is in flight, every mbuf is back."""
        def settled():
            stat = self.stat()
            return stat["in_flight"] == 0 and stat["books"]["balanced"] and stat
        stat = poll(settled, 5, "in-flight entries gone and books balanced")
        books = stat["books"]
        assert books["received"] == books["ended"], books
        assert books["dispatched"] == books["settled"], books
        poll(lambda: self.stat()["gauges"]["mbufs_in_use"] <= self.quiet, 5,
             f"mbufs in use back to {self.quiet}, now {self.stat()['gauges']['mbufs_in_use']}")

    def check_log(self):
        lines = self.log.read_text(errors="replace").splitlines()
        bad = [line for line in lines if TROUBLE.search(line) and not any(re.search(a, line) for a in self.allowed)]
        assert not bad, "unexpected lines in the log:\n" + "\n".join(bad[:20])

    def allow(self, *patterns):
        """Lines that this test expects in the log."""
        self.allowed += patterns

    def _clean_up(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in [self.process.pid, *self.pids()]:
                    os.kill(pid, signal.SIGKILL)
                self.process.wait(5)
        subprocess.run(["rm", "-rf", "--", str(self.directory)], check=False)

    def tell(self):
        """What a person wants to see of a failed test."""
        lines = self.log.read_text(errors="replace").splitlines()[-60:] if self.log.exists() else []
        text = [f"log of node {self.name}:"] + ["  " + line for line in lines]
        try:
            stat = self.stat()
            counters = {k: v for k, v in stat["totals"].items() if v}
            text.append(f"counters {counters} in flight {stat['in_flight']} books {stat['books']} gauges {stat['gauges']}")
            text.append(f"workers {stat['workers']}")
        except (OSError, ValueError, LookupError) as error:
            text.append(f"no stat: {error}")
        return "\n".join(text)

    # Its processes.

    def pids(self, program=None):
        """Descendants of `pgrid up`, or those of them that run `program`. (Processes that are zombies are not counted.)"""
        parents, names = {}, {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                name = os.path.basename((entry / "cmdline").read_bytes().split(b"\0")[0].decode())
            except OSError:
                continue
            state, parent = stat.rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents[int(entry.name)], names[int(entry.name)] = int(parent), name
        found, frontier = [], {self.process.pid}
        while frontier:
            frontier = {pid for pid, parent in parents.items() if parent in frontier}
            found += frontier
        return [pid for pid in found if program in (None, names[pid])]

    def pid(self, program):
        found = self.pids(program)
        if len(found) != 1:
            raise LookupError(f"{len(found)} processes {program}")
        return found[0]

    def kill(self, program):
        """SIGKILL to one of the node's processes. Returns its pid."""
        pid = self.pid(program)
        os.kill(pid, signal.SIGKILL)
        return pid

    # Talking to it.

    def api(self, method, path, body=None, timeout=10, content_type=None):
        connection = UnixConnection(self.run / "control.sock", timeout)
        try:
            headers = {}
            if isinstance(body, (dict, list)):
                body, content_type = json.dumps(body), "application/json"
            if content_type:
                headers["Content-Type"] = content_type
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            content = json.loads(answer.read() or b"{}")
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiError(answer.status, content.get("error", {}))
        return content

    def stat(self):
        return self.api("GET", "/v1/stat")

    def counter(self, name):
        return self.stat()["totals"][name]

    def deploy(self, module, name, **options):
        """Deploys bytes, or a file of the example or test guests."""
        if not isinstance(module, bytes):
            module = pathlib.Path(module).read_bytes()
        query = urllib.parse.urlencode({"name": name, **options})
        return self.api("POST", f"/v1/processes?{query}", module, timeout=60, content_type="application/wasm")

    def create_right(self, process, **options):
        return self.api("POST", "/v1/rights?secrets=1", {"process": process, **options})

    def invoke(self, target, body=b"", deadline_us=None):
        request = {"target": target, "body_base64": base64.b64encode(body).decode()}
        if deadline_us:
            request["deadline_us"] = deadline_us
        answer = self.api("POST", "/v1/invoke", request)
        answer["body"] = base64.b64decode(answer.get("body_base64") or "")
        return answer

    def cli(self, *arguments, status=0, timeout=60, **options):
        done = subprocess.run([PGRID, "--node", self.run, *map(str, arguments)], capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL, **options)
        assert done.returncode == status, \
            f"pgrid {' '.join(map(str, arguments))}: status {done.returncode}, not {status}: {done.stderr or done.stdout}"
        return done
