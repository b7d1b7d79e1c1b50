"""A server that reads messages as careless ones do: keys of any case, the last one wins, calls also without an id."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def folded(pairs):
    return {key.casefold(): value for key, value in pairs}


for line in sys.stdin:
    message = json.loads(line, object_pairs_hook=folded)
    method, params = message.get("method"), message.get("params") or {}
    if method == "tools/call":
        name, args = params.get("name"), params.get("arguments") or {}
        with Path(os.environ["RAN"]).open("a", encoding="utf-8") as file:
            file.write(f"{name} {args.get('amount')}\n")
        result = {"content": [{"type": "text", "text": "done"}]}
    elif method == "initialize":
        info = {"name": "sloppy", "version": "1"}
        result = {"protocolVersion": params["protocolversion"], "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in ("pay", "delete")]}
    else:
        result = {}
    if message.get("id") is not None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
        sys.stdout.flush()
