"""A node under measurement: `pgrid up` with its real processes, its API, and what it counted."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import frames  # whose path leads to sandbox, too
import machine
from sandbox import die_with_parent

READY_S = 60
STOP_S = 30
RIGHTS_AT_ONCE = 10_000  # the API's own bound

# What a run with an endless source may count: it offers more than the node takes, and what is too much is `busy`.
TAKEN = {"rx_packets", "dispatched", "answered", "tx_packets"}
TOO_MUCH = {"busy_ring", "busy_in_flight", "busy_right", "busy_mailbox"}
HARMLESS = {"misaligned_copied", "control_requests"}
LOST = ("tx_full", "mbuf_exhausted")  # answers that no port took: not given


class NoFigure(Exception):
    """A run that must not become a number."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("pgrid", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Site:
    """A state directory that several starts of a node share, so that functions and rights stay the same."""

    def __init__(self, build, directory, limits=None, workers=1):
        self.build, self.directory, self.limits, self.workers = pathlib.Path(build), pathlib.Path(directory), limits or {}, workers
        self.directory.mkdir(mode=0o700)
        self.rights = {}  # name: what the API gave, with `uri`

    def node(self, device, **options):
        return Node(self, device, **options)

    def right(self, name):
        return frames.message1.parse_uri(self.rights[name]["uri"])[1]


class Node:
    """One start of the node. `with site.node(...) as node`: serves inside, is stopped and checked outside."""

    def __init__(self, site, device, idle="spin", huge_pages=True, environment=None):
        self.site, self.log_path = site, site.directory / "up.log"
        cpus = machine.cpus()
        machine.need_cpus(1 + site.workers)
        config = site.directory / "node.toml"
        limits = "".join(f"{key} = {json.dumps(value)}\n" for key, value in site.limits.items())
        config.write_text(f'[node]\nname = "bench-{os.getpid()}"\nidle = "{idle}"\nhuge_pages = {str(huge_pages).lower()}\n'
                          f'[[port]]\ndevice = "{device}"\naddresses = ["{frames.NODE_ADDRESS}/24"]\nplaintext = true\n'
                          f'[cores]\npoll = [{cpus[0]}]\nworkers = {cpus[1:1 + site.workers]}\n[limits]\n{limits}')
        self.pgrid = [str(site.build / "tools/pgrid/pgrid"), "--node", str(site.directory)]
        self.began_at = self.log_path.stat().st_size if self.log_path.exists() else 0
        self.log = open(self.log_path, "a")
        self.process = subprocess.Popen(self.pgrid + ["up", "--config", str(config)], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=environment, preexec_fn=die_with_parent)
        self.connection = None

    # Life.

    def __enter__(self):
        end = time.monotonic() + READY_S
        while not self._is_serving():
            if self.process.poll() is not None or time.monotonic() > end:
                self._end()
                raise NoFigure(f"the node does not start; its log ends: {self._said()[-1500:]}")
            time.sleep(0.03)
        return self

    def __exit__(self, failure, *_):
        deaths = None
        if failure is None:
            deaths = sum(worker["deaths"] for worker in self.stat()["workers"])
        status = self._end()
        if failure is not None:
            return
        said = self._said()
        stopped = re.findall(r"stopped: (\d+) received, (\d+) answered, (\d+) unaccounted", said)
        if deaths or "starting it again" in said:
            raise NoFigure(f"a process of the node died during the run; its log ends: {said[-1500:]}")
        if status != 0 or not stopped:
            raise NoFigure(f"the node ended with status {status}, and its data plane did not say what it had counted: {said[-1500:]}")
        if int(stopped[-1][2]) != 0:
            raise NoFigure(f"{stopped[-1][2]} messages are unaccounted for")

    def _end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        return self.process.returncode

    def _said(self):
        return self.log_path.read_bytes()[self.began_at:].decode(errors="replace")

    def _is_serving(self):
        try:
            node = self.api("GET", "/v1/node")
            return node["dataplane"] == "attached" and all(w["state"] == "serving" for w in node["workers"])
        except (OSError, http.client.HTTPException, NoFigure):
            self.connection = None
            return False

    # Its API.

    def api(self, method, path, body=None, timeout=60, content="application/json"):
        if self.connection is None:
            self.connection = UnixConnection(self.site.directory / "control.sock", timeout)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        self.connection.request(method, path, data, {"Content-Type": content} if data is not None else {})
        answer = self.connection.getresponse()
        text = json.loads(answer.read())
        if answer.status >= 300:
            raise NoFigure(f"{method} {path}: {answer.status} {text['error']['message']}")
        return text

    def stat(self):
        return self.api("GET", "/v1/stat")

    def deploy(self, wasm, name, **options):
        query = "&".join(f"{key}={value}" for key, value in {"name": name, **options}.items())
        return self.api("POST", f"/v1/processes?{query}", pathlib.Path(wasm).read_bytes(), content="application/wasm")

    def right(self, process, **fields):
        return self.api("POST", "/v1/rights?secrets=1", {"process": process, **fields})

    def many_rights(self, process, count, **fields):
        """URIs of so many rights, made in bulk."""
        uris = []
        while len(uris) < count:
            made = self.api("POST", "/v1/rights?secrets=1",
                            {"process": process, "count": min(RIGHTS_AT_ONCE, count - len(uris)), **fields})
            uris += [right["uri"] for right in made["rights"]]
        return uris

    def pid(self, program):
        """Of the one process of this node with that name."""
        for line in pathlib.Path("/proc").iterdir():
            if not line.name.isdigit():
                continue
            try:
                if (line / "stat").read_text().rsplit(")", 1)[1].split()[1] == str(self.process.pid) and \
                        (line / "cmdline").read_bytes().split(b"\0")[0].decode().endswith("/" + program):
                    return int(line.name)
            except OSError:
                continue
        raise LookupError(f"no process {program}")


def difference(before, after):
    return {name: after["totals"][name] - before["totals"].get(name, 0) for name in after["totals"]}


def check(counted, allowed=()):
    """Raises NoFigure when messages ended otherwise than they should. `allowed`: more counters that this run is about."""
    wrong = {name: n for name, n in counted.items()
             if n and name not in TAKEN | TOO_MUCH | HARMLESS | set(allowed) and name not in LOST}
    if wrong:
        raise NoFigure("messages that should have been answered were not: " + ", ".join(f"{k} {v:,}" for k, v in wrong.items()))
    if counted["rx_packets"] == 0 or (counted["answered"] == 0 and "answered" not in allowed):
        raise NoFigure("nothing was answered")


def wait_until_right(node, allowed=(), seconds=60):
    """Until rights are published, worker and poll core are warm, and only what may be counted is."""
    end = time.monotonic() + seconds
    while True:
        before = node.stat()
        time.sleep(0.1)
        try:
            return check(difference(before, node.stat()), allowed)
        except NoFigure:
            if time.monotonic() > end:
                raise


def count_for(node, seconds, allowed=()):
    """Counts of so many seconds, checked; with `elapsed`, in seconds."""
    before, began = node.stat(), time.monotonic()
    time.sleep(seconds)
    after, ended = node.stat(), time.monotonic()
    counted = difference(before, after)
    check(counted, allowed)
    return counted, ended - began


def answered_mpps(counted, elapsed):
    """Answers that a port took, in millions a second."""
    return (counted["answered"] - sum(counted.get(name, 0) for name in LOST)) / elapsed / 1e6
