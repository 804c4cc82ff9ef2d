"""A control process as far as `pgrid` sees one: HTTP on a Unix socket, with answers that a test sets."""
import http.server
import json
import pathlib
import socketserver
import threading


class FakeControl:
    """Use as a context. `answers` maps "METHOD /path" to (status, JSON), or to a function of the request."""

    def __init__(self, directory, answers):
        self.path = pathlib.Path(directory) / "control.sock"
        self.answers = answers
        self.requests = []  # (method, path, query, headers, body)
        control = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path, _, query = self.path.partition("?")
                control.requests.append((self.command, path, query, dict(self.headers), body))
                answer = control.answers.get(f"{self.command} {path}")
                if callable(answer):
                    answer = answer(control.requests[-1])
                status, content = answer or (404, {"error": {"code": "not_found", "message": f"no {path} here"}})
                if status is None:  # goes away
                    self.close_connection = True
                    return
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = serve

            def log_message(self, *_):
                pass

            def address_string(self):
                return "local"

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self.server = Server(str(self.path), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.path.unlink()
