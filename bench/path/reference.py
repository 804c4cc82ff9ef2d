"""What the node is compared with: testpmd on the same frames, a kernel socket with Wasmtime, and a bare ring."""
import json
import os
import shutil
import subprocess
import time

import machine
from bench_node import NoFigure

MODES = {"io": "passes frames on untouched", "macswap": "exchanges the Ethernet addresses",
         "5tswap": "exchanges Ethernet, IP and UDP addresses: what an answer needs at least, and no function"}
MBUF_BYTES = 2048 + 128 + 128 + 64  # data room, headroom, rte_mbuf, mempool header
OWN_MBUFS = 16384  # testpmd's, beside the file's frames
START_S = 1.0
SETTLE_S = 0.5
WARM_UP_S = 1.0


def testpmd_memory_mib(frames):
    return -(-(frames + OWN_MBUFS) * MBUF_BYTES // (1 << 20)) + 32  # rings, EAL


def testpmd(source, frames, mode, seconds):
    """Millions of frames a second that testpmd sends; it reads `source` over and over as the node does, on the same CPU."""
    program = shutil.which("dpdk-testpmd")
    if program is None:
        raise machine.Shortage("there is no dpdk-testpmd; tools/setup installs it")
    cpus = machine.cpus()
    machine.need_cpus(2)
    # lcore 0 is the prompt's, lcore 1 forwards: on the CPU where the node polls.
    command = [program, "--lcores", f"0@{cpus[1]},1@{cpus[0]}", "--in-memory", "--no-pci", "--no-telemetry",
               "--log-level=lib.eal:error", f"--file-prefix=bench-{os.getpid()}", "-m", str(testpmd_memory_mib(frames)),
               f"--vdev=net_pcap0,rx_pcap={source},infinite_rx=1", "--", "-i", f"--forward-mode={mode}", "--nb-cores=1",
               f"--total-num-mbufs={frames + OWN_MBUFS}", "--burst=32"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def say(text):
        process.stdin.write(text + "\n")
        process.stdin.flush()

    try:
        time.sleep(START_S + frames / 100_000)  # it reads the file first
        say("start")
        time.sleep(SETTLE_S)
        say("clear port stats all")
        began = time.monotonic()
        time.sleep(seconds)
        say("show port stats all")
        elapsed = time.monotonic() - began
        say("stop")
        say("quit")
        output, _ = process.communicate(timeout=60)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        process.kill()
        output, _ = process.communicate()
        raise NoFigure(f"testpmd ended by itself: {output[-800:]}") from None
    sent = [int(line.split()[1]) for line in output.splitlines() if line.strip().startswith("TX-packets:")]
    if not sent or sent[0] == 0:
        raise NoFigure(f"testpmd says nothing of what it sent: {output[-800:]}")
    return {"mpps": sent[0] / elapsed / 1e6}


def kernel_udp(program, echo, body, seconds, outstanding=256):
    """Millions of messages a second of a kernel socket with Wasmtime behind it, on the node's two CPUs."""
    cpus = machine.cpus()
    machine.need_cpus(2)
    told = _json_of([program, echo, "--body", body, "--seconds", seconds,
                     "--outstanding", outstanding, "--cpus", f"{cpus[0]},{cpus[1]}"], seconds)
    if told["wrong"] or not told["answered"]:
        raise NoFigure(f"kernel_udp: {told['wrong']} wrong bodies, {told['answered']} answers")
    return {"mpps": told["messages_per_second"] / 1e6, "lost": told["lost"]}


def ring(program, seconds):
    """Round trip of a message between two processes over bare byte rings, in ns."""
    cpus = machine.cpus()
    machine.need_cpus(2)
    return _json_of([program, seconds, cpus[0], cpus[1]], seconds)


def _json_of(command, seconds):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30 + 3 * seconds)
    if done.returncode != 0:
        raise NoFigure(done.stderr.strip() or f"{command[0]} ended with status {done.returncode}")
    return json.loads(done.stdout)
