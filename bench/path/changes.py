"""Rights made and revoked through the API, at a pace, while the node works."""
import json
import threading
import time

import machine
from bench_node import RIGHTS_AT_ONCE, NoFigure, UnixConnection

PER_SECOND = 10_000  # rights made and rights revoked, together
TURN_S = 0.1         # so often some are made and as many revoked: three times on disk


class Changer(threading.Thread):
    """Makes a right and others derived from it, all with two requests, and revokes them with a third; again and again."""

    def __init__(self, socket, parent, per_second=PER_SECOND):
        super().__init__(daemon=True)
        self.connection = UnixConnection(socket, 20)
        self.parent, self.at_once = parent, max(2, int(per_second * TURN_S / 2))
        assert self.at_once <= RIGHTS_AT_ONCE
        self.done, self.failure = 0, None
        self.halted = threading.Event()

    def run(self):
        due = time.monotonic()
        try:
            while not self.halted.wait(max(0.0, due - time.monotonic())):
                due += TURN_S
                first = self._ask("POST", f"/v1/rights/{self.parent}/derive", {})
                root = f'{first["slot"]}.{first["generation"]}'
                self._ask("POST", f"/v1/rights/{root}/derive", {"count": self.at_once - 1})
                self.done += self.at_once
                revoked = self._ask("DELETE", f"/v1/rights/{root}")
                if revoked["count"] != self.at_once or revoked["applies"] != "now":
                    raise NoFigure(f"revoking {self.at_once} rights: {revoked}")
                self.done += self.at_once
        except (OSError, NoFigure, KeyError, ValueError) as error:
            self.failure = error

    def halt(self):
        self.halted.set()
        self.join()
        if isinstance(self.failure, TimeoutError):
            raise machine.Shortage("its disk does not keep up: control did not answer for 20 s")
        if self.failure:
            raise NoFigure(f"changing rights: {self.failure}")

    def _ask(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body).encode(),
                                {} if body is None else {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise NoFigure(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
        # A list of hundreds of rights is not looked at: that would take the CPU that is measured.
        return json.loads(text) if len(text) < 4096 else None
