"""Where measurements happen: nodes with functions and rights installed (sites), files of frames, huge pages. Each is made when
a measurement first needs it, and goes with the run."""
import pathlib

import frames
import machine
import traffic
from bench_node import NoFigure, Site

IN_FLIGHT_MAX = 65_535      # of a right: never the bound here
DEADLINE_US = 1_000_000     # a shared machine may be elsewhere for many milliseconds
MBUF_MIB = 2.5 / 1024       # of one mbuf, with what lies around it
NODE_PAGES = 64             # huge pages of a small node, rings of two workers included


class Lab:
    def __init__(self, build, directory, say, rights=1_000_000):
        self.build, self.directory, self.say = pathlib.Path(build), pathlib.Path(directory), say
        self.nb_rights = rights
        self.huge_pages = machine.HugePages()
        self._sites, self._files = {}, {}

    def site(self, name):
        if name not in self._sites:
            self.say(f"preparing: {name}")
            self._sites[name] = {"base": self._base, "shaped": self._shaped, "functions": self._functions,
                                 "rights": self._rights, "two-workers": self._two_workers}[name]()
        return self._sites[name]

    def frames(self, name):
        """(file, number of frames) of a set of traffic.py."""
        if name not in self._files:
            requests = traffic.SETS[name](self)
            path = self.directory / f"{name}.pcap"
            frames.write_requests(path, requests)
            self._files[name] = (path, len(requests))
        return self._files[name]

    def pcap(self, name, rights=65_536):
        """The port that plays a set over and over, with huge pages for it and for a table of so many rights."""
        path, count = self.frames(name)
        # 64 bytes of slot and 64 of account for each right.
        self.huge_pages.need(NODE_PAGES + machine.pages_of(int(count * MBUF_MIB) + 1) + machine.pages_of(rights * 128 >> 20))
        return f"pcap:rx={path},infinite"

    def built(self, name):
        """A file of the build directory."""
        path = self.build / name
        if not path.is_file():
            raise NoFigure(f"{path} is not there; build it: ninja -C {self.build.name}")
        return path

    @property
    def echo_wasm(self):
        return self.built("docs/examples/echo.wasm")

    @property
    def shaped_wasm(self):
        return self.built("bench/path/shaped.wasm")

    def _base(self):
        site = Site(self.build, self.directory / "base")
        with site.node("null:", idle="sleep") as node:
            node.deploy(self.echo_wasm, "echo")
            site.rights["echo"] = node.right("echo", in_flight_max=IN_FLIGHT_MAX, deadline_max_us=DEADLINE_US)
            site.rights["spent"] = node.right("echo", rate=1, burst=1)
        return site

    def _shaped(self):
        site = Site(self.build, self.directory / "shaped")
        with site.node("null:", idle="sleep") as node:
            node.deploy(self.echo_wasm, "echo")
            node.deploy(self.shaped_wasm, "shaped")
            node.deploy(self.shaped_wasm, "neighbour", time_limit_us=1000, restarts_max=0)  # restarted as often as it loops
            for name in ("echo", "shaped", "neighbour"):
                site.rights[name] = node.right(name, in_flight_max=IN_FLIGHT_MAX, deadline_max_us=DEADLINE_US)
        return site

    def _two_workers(self):
        machine.need_cpus(3)
        site = Site(self.build, self.directory / "two-workers", workers=2)
        with site.node("null:", idle="sleep") as node:
            node.deploy(self.echo_wasm, "echo", worker=0)
            node.deploy(self.echo_wasm, "echo-1", worker=1)
            node.deploy(self.shaped_wasm, "neighbour", worker=1, time_limit_us=1000, restarts_max=0)
            for name in ("echo", "echo-1", "neighbour"):
                site.rights[name] = node.right(name, in_flight_max=IN_FLIGHT_MAX, deadline_max_us=DEADLINE_US)
        return site

    def _functions(self):
        count = max(traffic.FUNCTIONS)
        site = Site(self.build, self.directory / "functions", {"processes_per_worker": 1024, "memory_total": "8GiB"})
        with site.node("null:", idle="sleep") as node:
            def instances(names):
                """What the worker has in memory once these were called: (linear memories, all else)."""
                for name in names:
                    node.api("POST", "/v1/invoke", {"target": name})
                worker = node.pid("pgrid-worker")
                start, end = machine.pool_of_memories(worker)
                linear = machine.resident(worker, lambda low, high: start <= low and high <= end)
                return linear, machine.resident(worker) - linear
            names = [f"f{i}" for i in range(count)]
            node.deploy(self.echo_wasm, names[0])
            first = instances(names[:1])
            for name in names[1:]:
                node.deploy(self.echo_wasm, name)
            all_of_them = instances(names)
            site.instance = [(many - one) / (count - 1) for one, many in zip(first, all_of_them)]
            site.rights["functions"] = [node.right(name, in_flight_max=IN_FLIGHT_MAX, deadline_max_us=DEADLINE_US)["uri"]
                                        for name in names]
        return site

    def _rights(self):
        """Tables with room for the rights and the few that functions bring."""
        site = Site(self.build, self.directory / "rights", {"rights": 1 << (self.nb_rights + 15).bit_length()})
        with site.node("null:", idle="sleep") as node:
            node.deploy(self.echo_wasm, "echo")
            site.rights["rights"] = node.many_rights("echo", self.nb_rights, in_flight_max=IN_FLIGHT_MAX, deadline_max_us=DEADLINE_US)
        return site
