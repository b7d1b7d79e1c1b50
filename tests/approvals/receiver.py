"""A webhook's receiver on loopback, which verifies what it gets as docs/approvals.md says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import threading

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SHARED = "whsec_" + base64.b64encode(b"s" * 32).decode()


class Receiver:
    """Takes notices, answers with the next of `answers` (200 where none is left), keeps what it verified."""

    def __init__(self, secret=SHARED):
        self.secret, self.got, self.bodies, self.refused, self.answers = secret, [], [], [], []
        self.before_answer = lambda: None
        receiver = self

        class Taking(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(self.headers, body)
                receiver.before_answer()
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("location", f"{receiver.url}elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taking)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hooks/"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def take(self, headers, body):
        self.bodies.append(body)
        if "webhook-id" not in headers or self.verified(headers, body):
            self.got.append((headers.get("webhook-id", ""), json.loads(body)))
        else:
            self.refused.append(body)

    def verified(self, headers, body):
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        version, _, signature = headers["webhook-signature"].partition(",")
        if self.secret.startswith("whsec_"):
            key = base64.b64decode(self.secret.removeprefix("whsec_"))
            right = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
            return version == "v1" and hmac.compare_digest(right, signature)
        key = base64.b64decode(self.secret.removeprefix("whpk_"))
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature), content)
        except InvalidSignature:
            return False
        return version == "v1a"

    def close(self):
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()
