"""An HTTP receiver that decodes every request with the CloudEvents SDK for Python and prints one JSON line for each.

Arguments: none. First line: {"port": N}. Then {"event": {attributes..., "data": ...}} or {"failure": "...", "headers": {...}}.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat

lock = threading.Lock()


def say(line):
    text = json.dumps(line)
    with lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def plain(value):
    return value.isoformat() if hasattr(value, "isoformat") else value


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            event = from_http(HTTPMessage(headers=headers, body=body), JSONFormat())
            attributes = {name: plain(value) for name, value in event.get_attributes().items()}
            say({"event": {**attributes, "data": event.get_data()}, "mode": "binary" if "ce-id" in headers else "structured"})
            status = 204
        except Exception as error:  # every decoding error is a finding
            say({"failure": repr(error), "headers": headers})
            status = 400
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Receiver)
say({"port": server.server_address[1]})
server.serve_forever()
