"""Agrees on one pair secret with each other party of a run; this half treats the messages, `initiator.py` begins the runs."""

from dataclasses import dataclass

from backchannel_sdk import authenticated, explained, fields, outgoing, unknown_kind
from wit_world import exports
from wit_world.imports import material
from wit_world.imports.types import Effect, Effect_Deliver, Effect_Reply, Envelope, Message


@dataclass
class Asked:
    """A party wants this node's public key for a run, and it is there."""

    run: str
    public_key: bytes


@dataclass
class Answered:
    """A party gave its public key: the fields as they came, for the run that asked."""

    fields: bytes


@dataclass
class Outcome:
    """What `handle` found, on its way to `finalize`."""

    found: Asked | Answered

    @classmethod
    @explained
    def finalize(cls, this: "Outcome") -> list[Effect]:
        """Turns what was found into effects; waits for nothing. Never cancelled."""
        match this.found:
            case Asked(run, public_key):
                return [Effect_Reply(outgoing("MyHandlerReply", run=run, public_key=public_key))]
            case Answered(packed):
                return [Effect_Deliver(packed)]


class Handler(exports.Handler):
    @explained
    def handle(self, envelope: Envelope, message: Message) -> Outcome | None:
        """Reads, checks, waits; changes nothing. May be cancelled."""
        authenticated(envelope)
        match message.kind:
            case "MyHandlerRequest":
                run = fields(message.fields, run=str)["run"]
                # A party may ask before the researcher's own request has reached this node.
                public_key = material.wait(run)
                return None if public_key is None else Outcome(Asked(run, public_key))
            case "MyHandlerReply":
                fields(message.fields, run=str, public_key=bytes)
                return Outcome(Answered(message.fields))
            case _:
                unknown_kind(message)
