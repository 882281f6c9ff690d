"""A node's side: what training code there asks of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from . import control_pb2, control_pb2_grpc
from ._channel import Process

# For what is answered at once.
SECONDS = 10.0
# Joye-Libert takes about a minute for a million values.
PROTECT_SECONDS = 600.0


@dataclass(frozen=True)
class ReadyChannel:
    """A channel that is ready."""

    peer: str
    # 1: Fed-BioMed's, which a relay can break into; from 2 on, secure against it.
    suite: int


@dataclass(frozen=True)
class NodeStatus:
    """How a node fares."""

    node_id: str
    name: str
    version: str
    connected: bool
    # One line: since when, or why not.
    connection: str
    channels: tuple[ReadyChannel, ...]
    # Names of the plugins that treat messages.
    plugins: tuple[str, ...]


@dataclass(frozen=True)
class ProtectedValues:
    """One party's contribution, which counts only together with all parties'."""

    # dh or server-key
    scheme: str
    parties: tuple[str, ...]
    # dh: one per value, modulo 2^64.
    masked: tuple[int, ...]
    # server-key: one per plaintext of several values.
    encrypted: tuple[int, ...]


class Node(Process):
    """A running node of this machine, by its data directory."""

    def __init__(self, data: str | os.PathLike[str]) -> None:
        super().__init__(data)
        self._stub = control_pb2_grpc.NodeStub(self._channel)

    def __enter__(self) -> Node:
        return self

    def status(self) -> NodeStatus:
        reply: control_pb2.NodeStatus = self._call(self._stub.Status, control_pb2.StatusRequest(), SECONDS)
        plugins = tuple(plugin.name for plugin in reply.plugins)
        channels = tuple(ReadyChannel(channel.peer, channel.suite) for channel in reply.channels)
        return NodeStatus(reply.node_id, reply.name, reply.version, reply.connected, reply.connection, channels, plugins)

    def protect_values(
        self, secagg_id: str, round: int, values: Sequence[float], *, clipping_range: int, target_range: int, weight: int | None = None
    ) -> ProtectedValues:
        """Quantises, weights and protects numbers as a Fed-BioMed node does for training. A round of a context serves once.

        `clipping_range` is the largest absolute value; `target_range` the number of steps.
        """
        request = control_pb2.ProtectValuesRequest(
            secagg_id=secagg_id, round=round, values=values, clipping_range=clipping_range, target_range=target_range, weight=weight
        )
        reply: control_pb2.ProtectValuesReply = self._call(self._stub.ProtectValues, request, PROTECT_SECONDS)
        return ProtectedValues(reply.scheme, tuple(reply.parties), tuple(reply.masked), tuple(map(int, reply.encrypted)))
