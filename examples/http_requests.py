"""What a tool may send, and where: judged before it leaves, whatever library sends it."""

import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import requests

import jackline


class Answer(BaseHTTPRequestHandler):
    """A service on this machine; it counts who asked."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(302 if self.path == "/moved" else 200)
        if self.path == "/moved":
            self.send_header("location", "https://elsewhere.example/")
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"Ann")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"

BUNDLE = """
jackline: 1
policies:
  - name: out
    use: tool_access
    with: {egress: {allow: ["127.0.0.1:*"], methods: [GET], others: deny}}
"""
bundle = Path(tempfile.mkdtemp()) / "jackline.yaml"
bundle.write_text(BUNDLE, encoding="utf-8")
guard = jackline.init(bundle)


@guard.tool
def with_httpx(url: str) -> str:
    return httpx.get(url, trust_env=False, follow_redirects=True).text


@guard.tool
def with_requests(url: str, method: str = "GET") -> str:
    return requests.request(method, url, timeout=5).text


@guard.tool
def with_urllib(url: str) -> str:
    return urllib.request.urlopen(url, timeout=5).read().decode()


with guard.session(id="job-1", agent="researcher"):
    print(with_httpx(f"{here}/customers/7"))
    print(with_requests(f"{here}/customers/7"))
    refused = [
        lambda: with_httpx(f"{here}/moved"),
        lambda: with_httpx("https://elsewhere.example/"),
        lambda: with_requests(f"{here}/customers/7", "DELETE"),
        lambda: with_urllib(f"{here}/customers/7"),
    ]
    for call in refused:
        try:
            call()
        except (jackline.Denied, OSError) as error:
            print(str(error).replace(str(server.server_port), "PORT"))
print(f"{Answer.asked} requests arrived")
jackline.close()
