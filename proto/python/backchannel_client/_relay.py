"""The researcher's side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack

from . import control_pb2, control_pb2_grpc
from ._channel import Process, Refused

# For what is answered at once.
SECONDS = 10.0
# Beyond the relay's own limit, so that it is the one to say who was silent.
GRACE_SECONDS = 30.0

OUTCOMES = {
    control_pb2.Answer.OUTCOME_DONE: "done",
    control_pb2.Answer.OUTCOME_FAILED: "failed",
    control_pb2.Answer.OUTCOME_SILENT: "silent",
    control_pb2.Answer.OUTCOME_NOT_CONNECTED: "not connected",
    control_pb2.Answer.OUTCOME_NOT_ASKED: "not asked",
}


@dataclass(frozen=True)
class RelayStatus:
    """How a relay fares."""

    researcher_id: str
    version: str
    address: str
    # SHA-256 of its certificate, hex: what nodes pin.
    fingerprint: str
    # Nodes it knows, and whether each is connected.
    nodes: dict[str, bool]


@dataclass(frozen=True)
class Party:
    """How a run ended for one party."""

    id: str
    # done, failed, silent, not connected or not asked
    outcome: str
    # What its plugin made of the run; None unless it is done.
    result: dict[str, Any] | None = None
    # Whom it holds responsible, when it gave up.
    blamed: tuple[str, ...] = ()
    # Its own words.
    text: str = ""


@dataclass(frozen=True)
class Run:
    """A run that enough parties finished."""

    id: str
    protocol: str
    parties: tuple[Party, ...] = field(repr=False)
    elapsed_ms: int

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The results of those who finished."""
        return {party.id: party.result for party in self.parties if party.result is not None}


class RunFailed(RuntimeError):
    """Fewer parties than needed finished. `run` has what each of them said."""

    def __init__(self, run: Run) -> None:
        said = [f"{party.id} {party.outcome}{': ' if party.text else ''}{party.text}" for party in run.parties if party.result is None]
        super().__init__(f"{run.protocol}, {run.id}: {'; '.join(said)}")
        self.run = run

    @property
    def blamed(self) -> set[str]:
        """Whom the parties hold responsible."""
        return {id for party in self.run.parties for id in party.blamed}


class Relay(Process):
    """A running relay of this machine, by its data directory."""

    def __init__(self, data: str | os.PathLike[str]) -> None:
        super().__init__(data)
        self._stub = control_pb2_grpc.RelayStub(self._channel)

    def __enter__(self) -> Relay:
        return self

    def status(self) -> RelayStatus:
        reply: control_pb2.RelayStatus = self._call(self._stub.Status, control_pb2.StatusRequest(), SECONDS)
        nodes = {node.node_id: node.connected for node in reply.nodes}
        return RelayStatus(reply.researcher_id, reply.version, reply.address, reply.fingerprint, nodes)

    def run(
        self,
        protocol: str,
        parties: Sequence[str],
        params: Mapping[str, Any] | None = None,
        *,
        run_id: str = "",
        quorum: int | None = None,
        wait: int = 600,
    ) -> Run:
        """Has `parties` run a protocol of one of their plugins with each other, and waits up to `wait` seconds for it.

        `run_id` is drawn if it is empty; an id serves once. `quorum` is how many parties must finish, all if it is not said.

        Raises `RunFailed` when fewer did, `Refused` when the relay could not ask them, `NotRunning` when there is no relay.
        """
        packed = msgpack.packb(dict(params or {}))
        request = control_pb2.RunProtocolRequest(
            protocol=protocol, parties=parties, run_id=run_id, params=packed, quorum=quorum or 0, limit_s=wait
        )
        reply: control_pb2.RunProtocolReply = self._call(self._stub.RunProtocol, request, wait + GRACE_SECONDS)
        run = Run(reply.run_id, protocol, tuple(map(_party, reply.parties)), reply.elapsed_ms)
        if not reply.ok:
            raise RunFailed(run)
        return run


def _party(party: control_pb2.PartyResult) -> Party:
    answer = party.answer
    outcome = OUTCOMES.get(answer.outcome, "unknown")
    result = None
    if outcome == "done":
        # A party's words: their size is bounded by the message's.
        result = msgpack.unpackb(party.result, strict_map_key=False)
        if not isinstance(result, dict):
            raise Refused(f"{answer.node_id} gave a result that is no map", "ask who wrote its plugin")
    return Party(answer.node_id, outcome, result, tuple(party.blamed), answer.text)
