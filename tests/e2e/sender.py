"""A kernel socket that sends many requests at once and tells what became of each."""
import message1


class Sender:
    def __init__(self, uri):
        self.host, self.right = message1.parse_uri(uri)
        self.socket = message1.connect(self.host)
        self.waiting = set()

    def send(self, body, count=1, deadline_us=0):
        for _ in range(count):
            id = message1.new_id()
            self.waiting.add(id)
            self.socket.send(message1.encode_request(self.right, id, body, deadline_us))

    def outcomes(self, count, seconds=10):
        """The next `count`: {"answer" or the reason: how many}. Each is to a request of ours, and only one."""
        found = {}
        self.socket.settimeout(seconds)
        for _ in range(count):
            message = message1.decode(self.socket.recv(2048))
            self.waiting.remove(message.id)
            what = "answer" if message.kind == message1.Kind.answer else message.reason_name()
            found[what] = found.get(what, 0) + 1
        return found
