"""A backchannel relay or node on this machine, from Python.

Both are reached through the socket in their data directory, which only its owner may open::

    from backchannel_client import Relay

    with Relay("/var/lib/backchannel-relay") as relay:
        run = relay.run("secure-aggregation", ["hospital-a", "hospital-b", "hospital-c"], {"input": "update"})
    print(run.results["hospital-a"]["sum"])
"""

from ._channel import NotRunning, Refused
from ._node import Node, NodeStatus, ProtectedValues, ReadyChannel
from ._relay import Party, Relay, RelayStatus, Run, RunFailed

__all__ = ["Node", "NodeStatus", "NotRunning", "Party", "ProtectedValues", "ReadyChannel", "Refused", "Relay", "RelayStatus", "Run", "RunFailed"]
