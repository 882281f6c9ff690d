"""Traces for the page, made from the committed one or from nothing. What they say is nothing that a network did."""

import hashlib
import json

HOSTILE = "</script><script>window.ran=1;alert(1)</script><img src=x onerror=\"window.ran=1;alert(2)\">"
# Variants that are written as texts, and bytes, in which a text would make the file no trace.
VARIANTS = {"handle", "finalize", "begin", "found", "nothing", "cancelled", "none"}
BYTES = {"fields", "body", "pem", "bytes"}


def write(path, lines):
    """A whole trace: the lines and one that says that it is."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    end = {"end": {"sha256": hashlib.sha256(text.encode()).hexdigest()}}
    path.write_text(text + json.dumps(end) + "\n")
    return path


def read(path):
    """A trace's lines without the last."""
    return [json.loads(line) for line in path.read_text().splitlines()[:-1]]


def hostile(value, name=""):
    """The same with markup in every text."""
    if isinstance(value, dict):
        return {key: hostile(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner, name) for inner in value]
    if not isinstance(value, str) or value in VARIANTS or name in BYTES:
        return value
    return value + HOSTILE


def large(nodes, messages):
    """A run of so many messages among so many nodes; each has a session, one in ten is dropped, one in seven is late."""
    names = [f"node-{n}" for n in range(nodes)]
    lines = [{"trace": {"format": 1, "made": {"sim": {"scenario": f"nodes = {nodes}", "seed": 1}}, "build": "0.1.0", "contract": "0.1.0"}}]
    events, sessions = [], []

    def event(at, **what):
        events.append({"event": {"at": at, "what": what}})

    for name in names:
        event(0, started={"node": name, "life": 1})
    for n in range(1, messages + 1):
        at, source, dest = n * 20_000, names[n % nodes], names[(n + 1 + n // nodes % (nodes - 1)) % nodes]
        known = {"id": f"{n:016x}", "from": source, "to": dest}
        event(at, sealed={**known, "kind": "KeyRequest", "request": f"request_{n}", "setup": False})
        event(at, relayed={**known, "n": n, "bytes": 200 + n % 300})
        if n % 10 == 0:
            event(at, hit={"n": n, "fault": "drop", "how": ""})
            continue
        there = at + (2_500_000 if n % 7 == 0 else 2_000)
        event(there, delivered={"n": n, "to": dest})
        event(there, treated={"id": known["id"], "node": dest, "from": source, "kind": "KeyRequest", "plugin": "key-request"})
        incoming = {"id": known["id"], "researcher": "researcher", "source": source, "setup": False, "assurance": "channel-key", "kind": "KeyRequest", "fields": "80"}
        call = {"at": there, "entry": "handle", "ended": "nothing", "cost": {"fuel": 1000 + n, "memory": 1 << 20}}
        sessions.append({"session": {"node": dest, "plugin": "key-request", "digest": "0" * 64, "work": {"message": incoming}, "calls": [call]}})
    events.sort(key=lambda line: line["event"]["at"])
    return lines + events + sessions
