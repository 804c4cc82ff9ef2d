#!/usr/bin/env python3
"""Shows a node with two poll cores and two workers: requests come in on both poll cores, over IPv4 and IPv6, each worker
answers on the core that a request came in on, and nothing is lost between them. Over tap and memif with two queues."""
import os
import select
import socket
import subprocess

import case
import message1
from node import EXAMPLES
from sandbox import die_with_parent, poll

NODE_V4, PEER_V4, NODE_V6, PEER_V6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
CLIENT_PORTS = 48  # each is a flow; one queue gets none of them once in 2^47 runs
ROUNDS = 5
FUNCTIONS = ("one", "two")


def cpus(count):
    """`count` CPU numbers; on a small machine the same ones again."""
    there = sorted(os.sched_getaffinity(0))
    return [there[i % len(there)] for i in range(count)]


def run(*words, check=True):
    return subprocess.run([str(w) for w in words], check=check, capture_output=True, text=True, timeout=60)


def call_from_many_ports(host, right):
    """ROUNDS requests from each of CLIENT_PORTS source ports, all ports at once. Gives the answers by reason."""
    sockets = [message1.connect(host) for _ in range(CLIENT_PORTS)]
    seen = {}
    for number in range(ROUNDS):
        waiting = {}
        for i, opened in enumerate(sockets):
            body = b"port %d round %d" % (i, number)
            waiting[opened] = (message1.new_id(), body)
            opened.send(message1.encode_request(right, *waiting[opened], deadline_us=5_000_000))
        while waiting:
            readable, _, _ = select.select(list(waiting), [], [], 10)
            if not readable:
                seen["silence"] = seen.get("silence", 0) + len(waiting)
                break
            for opened in readable:
                id, body = waiting.pop(opened)
                message = message1.decode(opened.recv(65536))
                good = message.kind == message1.Kind.answer and (message.id, message.body) == (id, body)
                what = "answered" if good else message.reason_name()
                seen[what] = seen.get(what, 0) + 1
        # Whatever else came is an answer too many.
        for opened in select.select(sockets, [], [], 0)[0]:
            seen["too many"] = seen.get("too many", 0) + 1
            opened.recv(65536)
    for opened in sockets:
        opened.close()
    return seen


class TwoCores(case.Case):
    """What a node with two poll cores and two workers must do, whatever its port is."""

    def start(self, **options):
        self.a = self.node(poll_cpus=cpus(2), worker_cpus=cpus(2), **options)
        self.rights = []
        for name in FUNCTIONS:
            self.a.deploy(EXAMPLES / "echo.wasm", name)
            uri = self.a.create_right(name, deadline_max_us=5_000_000)["uri"]
            self.rights.append(message1.parse_uri(uri)[1])
        places = [self.a.api("GET", f"/v1/processes/{name}")["worker"] for name in FUNCTIONS]
        self.assertEqual(places, [0, 1], "each function on a worker of its own")

    def per_core(self, *names):
        return [[core["counters"][name] for name in names] for core in self.a.stat()["poll_cores"]]

    def kept(self):
        """Promises kept by each function, over both poll cores."""
        return [self.a.api("GET", f"/v1/processes/{name}")["counts"]["kept"] for name in FUNCTIONS]

    def assertBothCoresServe(self):
        """Each worker (its home is one of the cores) gets requests from both, and each core gets back what it gave."""
        for host in (NODE_V4, NODE_V6):
            for worker, right in enumerate(self.rights):
                before = self.per_core("dispatched", "answered")
                kept = self.kept()
                self.assertEqual(call_from_many_ports(host, right), {"answered": CLIENT_PORTS * ROUNDS}, host)
                grown = [[b - a for a, b in zip(*pair)] for pair in zip(before, self.per_core("dispatched", "answered"))]
                for core, (dispatched, answered) in enumerate(grown):
                    self.assertGreater(dispatched, 0, f"poll core {core} had nothing of {host} for worker {worker}")
                    self.assertEqual(dispatched, answered, f"poll core {core}, {host}, worker {worker}")
                self.assertEqual(sum(dispatched for dispatched, _ in grown), CLIENT_PORTS * ROUNDS)
                kept[worker] += CLIENT_PORTS * ROUNDS
                self.assertEqual(self.kept(), kept)

    def assertPings(self, wait_s=2):
        for flag, address in (("-4", NODE_V4), ("-6", NODE_V6)):
            said = run("ping", flag, "-n", "-c", "3", "-i", "0.2", "-W", wait_s, address, check=False).stdout
            self.assertIn("3 received", said)


class Tap(TwoCores):
    def test_two_queues(self):
        """tap: both poll cores serve both workers over IPv4 and IPv6, and ping is answered"""
        self.start()
        self.assertBothCoresServe()
        self.assertPings()
        self.assertGreaterEqual(self.a.counter("echo_answered"), 6)

    def test_under_load(self):
        """tap: eight clients at once on both functions lose nothing and get nothing twice"""
        self.start()
        uris = [message1.to_uri(host, right) for host in (NODE_V4, NODE_V6) for right in self.rights]
        loads = [case.Load(self.undo, uri, count=5000, outstanding=16, deadline="5s", timeout="10s", verify_echo=True)
                 for uri in uris * 2]
        for load in loads:
            report = load.report(120)
            self.assertEqual((report["answered"], report["lost"], report["duplicated"]), (5000, 0, 0), report)
        answered = [core for [core] in self.per_core("answered")]
        self.assertEqual(sum(answered), 5000 * len(loads))

    def test_data_plane_killed(self):
        """tap: after SIGKILL of the data plane both queues are there again"""
        self.start()
        self.a.allow("starting it again", "data plane lost", r"worker \d (stopped|exited with 0)")
        boot = self.a.api("GET", "/v1/node")["boot_id"]
        self.a.kill("pgrid-dataplane")
        poll(lambda: self.a.is_serving() and self.a.api("GET", "/v1/node")["boot_id"] != boot, 20, "the node serves again")
        self.assertBothCoresServe()


class Memif(TwoCores):
    def bridge(self, path):
        """testpmd with two queues between the memif and a TAP interface, so that kernel sockets reach the node."""
        words = ["dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-shconf", "--no-telemetry", "--lcores=0,1@0",
                 f"--file-prefix=cores-{os.getpid()}", f"--vdev=net_memif0,role=client,id=0,socket={path},socket-abstract=no",
                 "--vdev=net_tap0,iface=pgt0", "--", "--forward-mode=io", "--auto-start", "--total-num-mbufs=16384",
                 "--rxq=2", "--txq=2", "--nb-cores=1", "--stats-period=1"]
        log = open(os.path.dirname(path) + "/bridge.log", "wb")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)

        def end():
            process.kill()
            process.wait()
            run("rm", "-rf", "--", f"/var/run/dpdk/cores-{os.getpid()}")
        self.undo.later(end)
        poll(lambda: socket.if_nametoindex("pgt0"), 10, "the bridge's interface")
        run("ip", "addr", "add", f"{PEER_V4}/24", "dev", "pgt0")
        run("ip", "addr", "add", f"{PEER_V6}/64", "dev", "pgt0", "nodad")
        run("ip", "link", "set", "pgt0", "up")

    def test_two_queues(self):
        """memif: both poll cores serve both workers over IPv4 and IPv6, and ping is answered"""
        folder = f"/tmp/pgrid-cores-{os.getpid()}"
        os.mkdir(folder, 0o700)
        self.undo.later(run, "rm", "-rf", "--", folder)
        self.start(device=f"memif:socket={folder}/a.sock,role=server,id=0")
        self.bridge(f"{folder}/a.sock")
        poll(lambda: "1 received" in run("ping", "-n", "-c", "1", "-W", "1", NODE_V4, check=False).stdout, 20, "ping")
        self.assertBothCoresServe()
        self.assertPings(wait_s=5)


if __name__ == "__main__":
    case.main()
