"""A server that does harm in the way that a call names: over pipes, or over HTTP where it is given a port. No SDK."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
from itertools import count
from typing import Any

TOOL = {"name": "harm", "description": "Harms.", "inputSchema": {"type": "object"}}
ABOUT = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "harm", "version": "1"}}
ANSWERS: dict[str, Any] = {"initialize": ABOUT, "tools/list": {"tools": [TOOL]}, "ping": {}}
NOTE = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 20}}


def answer(request: Any, result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request, "result": result}).encode()


def said(request: Any, words: str) -> bytes:
    return answer(request, {"content": [{"type": "text", "text": words}]})


def over_pipes() -> None:
    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        request, method = message["id"], message["method"]
        if method != "tools/call":
            out.write(answer(request, ANSWERS[method]) + b"\n")
        else:
            harm(out, request, message["params"]["arguments"]["how"])
        out.flush()


def harm(out: Any, request: Any, how: str) -> None:  # noqa: PLR0912 - a way of doing harm each
    if how == "fine":
        out.write(said(request, "fine") + b"\n")
    elif how == "dies":
        os._exit(3)
    elif how == "huge":
        out.write(b'{"jsonrpc":"2.0","id":' + json.dumps(request).encode() + b',"result":{"content":"')
        for _ in range(100):
            out.write(b"x" * 1_000_000)
        out.write(b'"}}\n')
    elif how == "junk":
        for each in (b"no JSON", b"[1]", b"\xff\xfe", b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', b"[" * 200_000):
            out.write(each + b"\n")
        out.write(said(request, "junk") + b"\n")
    elif how == "neither":
        out.write(json.dumps({"jsonrpc": "2.0", "id": request}).encode() + b"\n")
    elif how == "both":
        both = {"result": {"content": []}, "error": {"code": 1, "message": "no"}}
        for each in ({"id": request, **both}, {"id": "none of yours", "result": {}}, {"id": None, "result": {}}):
            out.write(json.dumps({"jsonrpc": "2.0", **each}).encode() + b"\n")
    elif how in ("flood", "blank"):
        part = (json.dumps(NOTE).encode() + b"\n") * 1000 if how == "flood" else b"\n" * 100_000
        for _ in count():
            out.write(part)
    elif how == "asks":
        for number in range(100):
            asked = {"jsonrpc": "2.0", "id": f"{request} q{number}", "method": "roots/list"}
            out.write(json.dumps(asked).encode() + b"\n")
        out.write(said(request, "asked") + b"\n")


JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
BOMB = gzip.compress(b"x" * 300_000_000)


async def over_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
            body = await reader.readexactly(length)
            message = json.loads(body) if body else {}
            if not head.startswith("post"):
                writer.write(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
            elif "id" not in message:
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            elif message["method"] != "tools/call":
                whole(writer, answer(message["id"], ANSWERS[message["method"]]))
            else:
                await harm_http(writer, message["id"], message["params"]["arguments"]["how"])
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def whole(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(JSON + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)


async def harm_http(writer: asyncio.StreamWriter, request: Any, how: str) -> None:
    if how == "fine":
        whole(writer, said(request, "fine"))
    elif how == "dies":
        writer.write(JSON + b"Content-Length: 100\r\n\r\n{")
        writer.close()
    elif how == "hangs":
        await asyncio.sleep(3600)
    elif how == "huge":
        writer.write(JSON + b"Content-Length: 100000000\r\n\r\n")
        await without_end(writer, b"x" * 100_000)
    elif how == "endless":
        writer.write(JSON + b"Connection: close\r\n\r\n{")
        await without_end(writer, b" " * 100_000)
    elif how == "bomb":
        writer.write(JSON + f"Content-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n".encode() + BOMB)
    elif how == "junk":
        whole(writer, b"[" * 200_000)
    elif how == "one event":
        writer.write(EVENTS + b"event: message\ndata: ")
        await without_end(writer, b"x" * 100_000)
    elif how == "flood":
        writer.write(EVENTS)
        await without_end(writer, (b"event: message\ndata: " + json.dumps(NOTE).encode() + b"\n\n") * 100)


async def without_end(writer: asyncio.StreamWriter, part: bytes) -> None:
    for _ in count():
        writer.write(part)
        await writer.drain()


async def listen(port: int) -> None:
    server = await asyncio.start_server(over_http, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(listen(int(sys.argv[1])))
    else:
        over_pipes()
