#!/usr/bin/env python3
"""Shows the books under volume: 100,000 messages at the best rate that the TAP port takes, every one accounted for."""
import case
from node import EXAMPLES
from sandbox import poll

MESSAGES = 100_000


class Volume(case.Case):
    def test_hundred_thousand(self):
        """sent = answered + non-commitments, nothing twice, mbufs back, every packet in a counter"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        uri = node.create_right("echo", deadline_max_us=1_000_000)["uri"]
        start = node.stat()
        report = case.Load(self.undo, uri, count=MESSAGES, outstanding=64, body=64, deadline="900ms").report(180)
        self.assertEqual(report["sent"], MESSAGES)
        self.assertEqual(report["sent"], report["answered"] + sum(report["non_commitments"].values()), report)
        self.assertEqual((report["lost"], report["duplicated"]), (0, 0))

        end = poll(lambda: (s := node.stat())["in_flight"] == 0 and s["books"]["balanced"] and s, 5, "the books balance")
        grown = {name: n - start["totals"][name] for name, n in end["totals"].items()}
        self.assertEqual(grown["dispatched"] + grown["busy_ring"] + grown["busy_right"] + grown["busy_in_flight"], MESSAGES)
        self.assertEqual(grown["answered"], report["answered"])
        self.assertEqual(grown["tx_full"] + grown["mbuf_exhausted"] + grown["late_reply"], 0)
        # What is not ours (ARP, NDP) is counted too, so a few packets more.
        self.assertTrue(MESSAGES <= grown["rx_packets"] < MESSAGES + 100, grown["rx_packets"])
        self.assertEqual(end["books"]["received"], end["books"]["ended"])
        self.assertEqual(end["books"]["dispatched"], end["books"]["settled"])
        # The gauge is refreshed now and then, not with every packet.
        poll(lambda: node.stat()["gauges"]["mbufs_in_use"] <= start["gauges"]["mbufs_in_use"], 5, "mbufs are back")


if __name__ == "__main__":
    case.main()
