"""An HTTP receiver that decodes every request with the CloudEvents SDK for Python and appends one JSON line for each to a file.

Arguments: the file, the address to listen on. The first line of the file is {"port": N}. Then, in the order of arrival,
{"event": {attributes..., "data": ...}, "mode": "structured" | "binary"}, answered by 204 once the line is written, or
{"failure": "...", "headers": {...}}, answered by 400.

The mode is told by the content type, as the HTTP binding has it (section 3). The SDK itself undoes the percent-encoding of
binary headers (section 3.1.3.2). It reads `time` into a datetime, which is written with "+00:00" for "Z" and microseconds at most.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.bindings.http import HTTPMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat

# with O_APPEND every write is one line, from whichever thread
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
json_format = JSONFormat()


def say(line):
    os.write(log, (json.dumps(line) + "\n").encode())


def plain(value):
    return value.isoformat() if hasattr(value, "isoformat") else value


def decode(headers, body):
    structured = headers.get("content-type", "").lower().startswith("application/cloudevents")
    read = from_structured if structured else from_binary
    event = read(HTTPMessage(headers=headers, body=body), json_format)
    attributes = {name: plain(value) for name, value in event.get_attributes().items()}
    return {"event": {**attributes, "data": event.get_data()}, "mode": "structured" if structured else "binary"}


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.body()
        try:
            say(decode(headers, body))
            status = 204
        except Exception as error:  # every decoding error is a finding
            say({"failure": f"{type(error).__name__}: {error}", "headers": headers})
            status = 400
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", "0")))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


server = Server((sys.argv[2], 0), Receiver)
say({"port": server.server_address[1]})
server.serve_forever()
