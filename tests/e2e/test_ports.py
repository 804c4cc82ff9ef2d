#!/usr/bin/env python3
"""Shows the kinds of port beside tap: af_xdp shares an interface with the kernel, and its XDP program is gone whenever no
node serves, however the node ended; frames from a pcap file are answered into another; what is wrong with a port is said
in one sentence."""
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess

import case
from node import BUILD, EXAMPLES, LOAD, PGRID, Node
from sandbox import die_with_parent, poll
import message1

STEER = BUILD / "drivers" / "bpf" / "steer.bpf.o"
DATAPLANE = BUILD / "dataplane" / "pgrid-dataplane"
FOREIGN = "#include <linux/bpf.h>\n__attribute__((section(\"xdp\"), used)) int somebody_else(struct xdp_md *c) { return XDP_PASS; }\n"
NODE_V4, PEER_V4, NODE_V6, PEER_V6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
COMPLETION_RING = 2048  # sent frames stay in the kernel's completion ring until the next ones are sent
PCAP_MAC = bytes.fromhex("027063617000")  # net_pcap's first port
PEER_MAC = bytes.fromhex("020000000001")


def run(*words, check=True, **options):
    return subprocess.run([str(w) for w in words], check=check, capture_output=True, text=True, timeout=60, **options)


def program():
    """The name of the XDP program that the interface has, or None."""
    found = re.search(r"prog/xdp id \d+(?: name (\S+))?", run("ip", "-d", "link", "show", "pgx0").stdout)
    return found and found[1]


def refusal(test, device, poll_cpus=None):
    """`pgrid up` on a port that cannot be: it ends with status 2, leaves nothing, and says one sentence, which this gives."""
    node = Node(test.undo, name="refused", device=device, poll_cpus=poll_cpus)
    links, runs = os.listdir("/sys/class/net"), os.listdir("/var/run/dpdk")
    done = run(PGRID, "--node", node.run, "up", "--config", node.config, check=False, stdin=subprocess.DEVNULL)
    test.assertEqual(done.returncode, 2, done.stderr)
    test.assertEqual(done.stderr.count("\n"), 1, done.stderr)
    test.assertEqual(os.listdir("/sys/class/net"), links)
    test.assertEqual(os.listdir("/var/run/dpdk"), runs)
    test.assertEqual([path.name for path in node.run.iterdir()], [])
    return done.stderr.removeprefix("pgrid: ").strip()


class AfXdp(case.Case):
    def setUp(self):
        super().setUp()
        run("ip", "netns", "add", "peer")
        self.undo.later(run, "ip", "netns", "del", "peer")
        self.veth("pgx", NODE_V4, PEER_V4, NODE_V6, PEER_V6)

    def veth(self, name, node_v4, peer_v4, node_v6, peer_v6):
        """An interface NAME0 with the node's addresses; its other end is NAME1, in the namespace `peer`."""
        run("ip", "link", "add", f"{name}0", "type", "veth", "peer", "name", f"{name}1", "netns", "peer")
        self.undo.later(lambda: run("ip", "link", "del", f"{name}0", check=False))
        for at, end, v4, v6 in (([], f"{name}0", node_v4, node_v6), (["-n", "peer"], f"{name}1", peer_v4, peer_v6)):
            run("ip", *at, "addr", "add", f"{v4}/24", "dev", end)
            run("ip", *at, "addr", "add", f"{v6}/64", "dev", end, "nodad")
            run("ip", *at, "link", "set", end, "up")
        # Datagrams that are sent over veth carry unfinished checksums otherwise: there is no wire to finish them for.
        run("ip", "netns", "exec", "peer", "ethtool", "-K", f"{name}1", "tx", "off")

    def load(self, uri, count=200):
        done = run("ip", "netns", "exec", "peer", LOAD, "--json", "--count", count, "--outstanding", 4, "--verify-echo", uri,
                   stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        return json.loads(done.stdout)

    def echo_node(self):
        node = self.node(device="af_xdp:pgx0", v4=NODE_V4, v6=NODE_V6)
        node.quiet += COMPLETION_RING
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        return node, node.create_right("echo", deadline_max_us=1_000_000)["uri"].rsplit("/", 1)[1]

    def assertServes(self, key):
        for host in (NODE_V4, f"[{NODE_V6}]"):
            report = self.load(f"grid://{host}:4646/{key}")
            self.assertEqual((report["sent"], report["answered"], report["lost"]), (200, 200, 0), host)

    def dataplane(self, device, poll_cpus=None):
        return refusal(self, device, poll_cpus)

    def test_beside_the_kernel(self):
        """datagrams to 4646 reach the node, IPv4 and IPv6; ping and another UDP port reach the kernel"""
        node, key = self.echo_node()
        self.assertEqual(program(), "pgrid_steer")
        self.assertServes(key)
        for flag, address in (("-4", NODE_V4), ("-6", NODE_V6)):
            self.assertIn("3 received", run("ip", "netns", "exec", "peer", "ping", flag, "-n", "-c", "3", "-i", "0.2", "-W", "2", address).stdout)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kernel:
            kernel.bind((NODE_V4, 4647))
            kernel.settimeout(5)
            say = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello', ('192.0.2.1', 4647))"
            run("ip", "netns", "exec", "peer", "python3", "-c", say)
            self.assertEqual(kernel.recv(100), b"hello")
        totals = node.stat()["totals"]
        self.assertEqual(totals["answered"], 400)
        self.assertEqual(totals["rx_packets"], 400, "nothing but the requests came to the node")
        self.assertEqual([totals[c] for c in ("echo_answered", "arp_answered", "ndp_answered", "icmp_ignored")], [0] * 4)
        node.stop()
        self.nodes.remove(node)
        self.assertIsNone(program(), "stopped, and the program is still there")

    def test_several_ports(self):
        """two af_xdp ports and a tap in one node: each answers its own senders"""
        self.veth("pgy", "203.0.113.1", "203.0.113.2", "2001:db8:3::1", "2001:db8:3::2")
        node = self.node(device="af_xdp:pgx0", v4=NODE_V4, v6=NODE_V6, extra=(
            '[[port]]\ndevice = "af_xdp:pgy0"\naddresses = ["203.0.113.1/24"]\nplaintext = true\n'
            '[[port]]\ndevice = "tap:pg0"\naddresses = ["198.51.100.1/24"]\nhost_addresses = ["198.51.100.2/24"]\n'
            "plaintext = true\n"))
        node.quiet += 2 * COMPLETION_RING
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        key = node.create_right("echo", deadline_max_us=1_000_000)["uri"].rsplit("/", 1)[1]
        for report in (self.load(f"grid://{NODE_V4}:4646/{key}"), self.load(f"grid://203.0.113.1:4646/{key}"),
                       case.Load(self.undo, f"grid://198.51.100.1:4646/{key}", count=200, outstanding=4).report(30)):
            self.assertEqual((report["sent"], report["answered"], report["lost"]), (200, 200, 0))
        self.assertEqual(node.counter("answered"), 600)

    def test_killed(self):
        """after SIGKILL of the data plane the program is gone; the next one has it again, and serves"""
        node, key = self.echo_node()
        node.allow("starting it again", "data plane lost")
        self.assertServes(key)
        pid = node.pid("pgrid-dataplane")
        os.kill(node.process.pid, signal.SIGSTOP)  # so that nobody starts the next one yet
        os.kill(pid, signal.SIGKILL)
        poll(lambda: program() is None, 5, "the program is gone with its process")
        os.kill(node.process.pid, signal.SIGCONT)
        node.wait_serving()
        self.assertEqual(program(), "pgrid_steer")
        self.assertNotEqual(node.pid("pgrid-dataplane"), pid)
        self.assertServes(key)

    def test_left_over(self):
        """a program of ours that is still attached (netlink, as DPDK does it) is taken away at the start"""
        run("ip", "link", "set", "dev", "pgx0", "xdp", "obj", STEER, "sec", "xdp")
        self.assertEqual(program(), "pgrid_steer")
        _, key = self.echo_node()
        self.assertServes(key)

    def test_foreign_program(self):
        """somebody else's program is never touched: one sentence, and it is still there"""
        source, built = self.undo_file("foreign.c", FOREIGN), "/tmp/pgrid-foreign-%d.o" % os.getpid()
        self.undo.later(lambda: os.path.exists(built) and os.unlink(built))
        run("clang-19", "-target", "bpf", "-O2", "-g", "-isystem", "/usr/include/" + run("gcc", "-print-multiarch").stdout.strip(),
            "-c", source, "-o", built)
        run("ip", "link", "set", "dev", "pgx0", "xdp", "obj", built, "sec", "xdp")
        self.assertEqual(program(), "somebody_else")
        self.assertRegex(self.dataplane("af_xdp:pgx0"),
                         r'^attach our XDP program to pgx0: it has another XDP program, "somebody_else" \(id \d+\); '
                         r"stop what uses it, or: ip link set dev pgx0 xdp off$")
        self.assertEqual(program(), "somebody_else")

    def undo_file(self, name, text):
        path = f"/tmp/pgrid-{os.getpid()}-{name}"
        with open(path, "w") as file:
            file.write(text)
        self.undo.later(os.unlink, path)
        return path

    def test_refusals(self):
        """an interface that is busy, missing, down or without the needed queues: one sentence each"""
        two = [min(os.sched_getaffinity(0))] * 2
        self.assertRegex(self.dataplane("af_xdp:pgx9"), r'^/.*/node.toml:\d+: there is no interface "pgx9"; `ip link` lists what there is$')
        self.assertEqual(self.dataplane("af_xdp:lo"),
                         "open port af_xdp:lo: it is not an Ethernet interface; use one that is")
        self.assertEqual(self.dataplane("af_xdp:pgx0", two),
                         "open port af_xdp:pgx0: the interface has no combined queues (ethtool -l pgx0), so DPDK's driver serves "
                         "its first queue alone, and 2 queues are needed; use one poll core, or an interface that has combined queues")
        run("ip", "link", "set", "pgx0", "down")
        self.assertEqual(self.dataplane("af_xdp:pgx0"),
                         "open port af_xdp:pgx0: the interface is down; ip link set pgx0 up")
        run("ip", "link", "set", "pgx0", "up")
        run("ip", "addr", "replace", f"{NODE_V6}/64", "dev", "pgx0", "nodad")
        node, key = self.echo_node()
        self.assertEqual(self.dataplane("af_xdp:pgx0"),
                         "attach our XDP program to pgx0: another node serves this interface; stop it first")
        self.assertServes(key)
        self.assertEqual(self.dataplane("tap:pgx0"),
                         "make TAP interface pgx0: an interface of that name exists; choose another name, or stop the node that "
                         "has it (a left-over one: ip link del pgx0)")

    def test_more_queues_than_served(self):
        """frames on a queue that nobody serves would be lost: refused, until the interface has one; ethtool does what is said"""
        run("ip", "link", "add", "pgq0", "numrxqueues", "2", "numtxqueues", "2", "type", "veth", "peer", "name", "pgq1",
            "numrxqueues", "2", "numtxqueues", "2")
        self.undo.later(run, "ip", "link", "del", "pgq0")
        run("ip", "link", "set", "pgq0", "up")
        self.assertEqual(self.dataplane("af_xdp:pgq0"),
                         "open port af_xdp:pgq0: the interface has 2 queues, and there is 1 poll core: frames on the other queues "
                         "would never arrive; ethtool -L pgq0 rx 1, or steer frames to one queue and write start_queue=N")
        run("ethtool", "-L", "pgq0", "rx", "1")
        run("ethtool", "-L", "pgq1", "tx", "1")  # veth with XDP takes no fewer queues than its peer sends on
        self.node(device="af_xdp:pgq0", v4="203.0.113.1", v6="2001:db8:3::1").quiet += COMPLETION_RING


class Memif(case.Case):
    def bridge(self, path):
        """testpmd between the memif and a TAP interface, so that kernel sockets reach the node."""
        words = ["dpdk-testpmd", "--no-huge", "-m", "128", "--no-pci", "--no-shconf", "--no-telemetry", "--lcores=0,1@0",
                 f"--file-prefix=bridge-{os.getpid()}", f"--vdev=net_memif0,role=client,id=0,socket={path},socket-abstract=no",
                 "--vdev=net_tap0,iface=pgt0", "--", "--forward-mode=io", "--auto-start", "--total-num-mbufs=8192",
                 "--stats-period=1"]
        log = open(os.path.dirname(path) + "/bridge.log", "wb")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)

        def end():
            process.kill()
            process.wait()
            subprocess.run(["rm", "-rf", "--", f"/var/run/dpdk/bridge-{os.getpid()}"], check=False)
        self.undo.later(end)
        poll(lambda: socket.if_nametoindex("pgt0"), 10, "the bridge's interface")
        run("ip", "addr", "add", f"{PEER_V4}/24", "dev", "pgt0")
        run("ip", "addr", "add", f"{PEER_V6}/64", "dev", "pgt0", "nodad")
        run("ip", "link", "set", "pgt0", "up")
        return end

    def test_serves_one_client_after_the_other(self):
        """the node serves over a memif, IPv4 and IPv6, answers ping itself, and takes the next client when one is killed"""
        node = self.make_node(device="memif:socket=SOCKET,role=server,id=0")
        path = f"{node.directory}/memif.sock"
        node.config.write_text(node.config.read_text().replace("SOCKET", path))
        node.start()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        key = node.create_right("echo", deadline_max_us=1_000_000)["uri"].rsplit("/", 1)[1]
        for life in (1, 2):
            end = self.bridge(path)
            poll(lambda: "1 received" in run("ping", "-n", "-c", "1", "-W", "1", NODE_V4, check=False).stdout, 10, "ping")
            for host in (NODE_V4, f"[{NODE_V6}]"):
                report = case.Load(self.undo, f"grid://{host}:4646/{key}", count=200, outstanding=4, verify_echo=True).report(30)
                self.assertEqual((report["sent"], report["answered"], report["lost"]), (200, 200, 0), host)
            self.assertEqual(node.counter("answered"), 400 * life)
            end()
        self.assertGreaterEqual(node.counter("echo_answered"), 2)
        node.stop()
        self.nodes.remove(node)
        self.assertFalse(os.path.exists(path), "the socket outlived the node")


def frame(payload):
    """An Ethernet frame with a UDP datagram to the node on a pcap port."""
    def checksum(data):
        total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return ~total & 0xFFFF
    addresses = socket.inet_aton(PEER_V4) + socket.inet_aton(NODE_V4)
    udp = struct.pack("!HHHH", 5000, 4646, 8 + len(payload), 0) + payload
    udp = udp[:6] + struct.pack("!H", checksum(addresses + struct.pack("!BBH", 0, 17, len(udp)) + udp) or 0xFFFF) + payload
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return PCAP_MAC + PEER_MAC + b"\x08\x00" + ip + udp


def write_pcap(path, frames):
    records = b"".join(struct.pack("=IIII", 0, 0, len(f), len(f)) + f for f in frames)
    path.write_bytes(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records)


def read_pcap(path, most):
    """The first frames of a capture file that may still be growing."""
    with open(path, "rb") as file:
        file.read(24)
        frames = []
        while len(frames) < most:
            header = file.read(16)
            size = struct.unpack("=IIII", header)[2] if len(header) == 16 else 0
            data = file.read(size)
            if not size or len(data) < size:
                break
            frames.append(data)
        return frames


class Pcap(case.Case):
    def test_infinite(self):
        """requests from a file, over and over, are answered into another file, byte for byte as over a wire"""
        node = self.node()  # on a tap, for the right that the file needs
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        _, right = message1.parse_uri(node.create_right("echo", deadline_max_us=1_000_000)["uri"])
        node.stop()
        bodies = {bytes([1 + i] * 8): b"%d" % i * 8 for i in range(20)}
        rx, tx = node.directory / "in.pcap", node.directory / "out.pcap"
        write_pcap(rx, [frame(message1.encode_request(right, id, body)) for id, body in bodies.items()])
        text = node.config.read_text().replace("tap:pg0", f"pcap:rx={rx},tx={tx},infinite")
        node.config.write_text(re.sub(r"host_addresses = .*\n", "", text))
        node.quiet = 0
        node.start()
        poll(lambda: node.counter("answered") >= 1000, 20, "a thousand answers")
        node.process.send_signal(signal.SIGTERM)
        self.assertEqual(node.process.wait(20), 0)
        node.process = None
        seen = set()
        for answer in read_pcap(tx, 1_000_000):
            self.assertEqual(answer[:14], PEER_MAC + PCAP_MAC + b"\x08\x00")
            message = message1.decode(answer[42:])
            if message.kind == message1.Kind.answer:  # before the worker was there: non-commitments
                self.assertEqual(message.body, bodies[message.id])
                seen.add(message.id)
            if len(seen) == len(bodies):
                break
        self.assertEqual(seen, set(bodies))

    def test_refused(self):
        """a missing file, or more poll cores than files: one sentence, status 2"""
        self.assertEqual(refusal(self, "pcap:rx=/nowhere/in.pcap,infinite"),
                         "read frames from /nowhere/in.pcap: No such file or directory")
        path = pathlib.Path(f"/tmp/pgrid-{os.getpid()}-in.pcap")
        write_pcap(path, [frame(b"x")])
        self.undo.later(path.unlink)
        self.assertEqual(refusal(self, f"pcap:rx={path},infinite", [min(os.sched_getaffinity(0))] * 2),
                         f"configure port pcap:rx={path},infinite: 2 queues, and net_pcap offers 1; use fewer poll cores")


class Others(case.Case):
    def test_refused(self):
        """a PCI address without a device, a driver that DPDK has not, a memif nobody listens at: one sentence each, status 2"""
        self.assertEqual(refusal(self, "0000:fe:1f.7"),
                         "open port 0000:fe:1f.7: there is no PCI device at this address; dpdk-devbind.py --status lists them")
        self.assertEqual(refusal(self, "net_nosuch0"),
                         'rte_dev_probe for port net_nosuch0: failed to parse device "net_nosuch0"; check the name and the arguments '
                         "against DPDK's guide of that driver")
        self.assertEqual(refusal(self, "memif:socket=/tmp/nobody.sock,role=client,id=0"),
                         "memif socket /tmp/nobody.sock: nobody listens there; start the side with role=server first")


if __name__ == "__main__":
    case.main()
