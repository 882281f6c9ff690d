"""Answers each MyHandlerRequest with a greeting, and hands each MyHandlerReply to whoever asked."""

from dataclasses import dataclass

from backchannel_sdk import authenticated, explained, fields, outgoing, unknown_kind
from wit_world import exports
from wit_world.imports.types import Effect, Effect_Deliver, Effect_Reply, Envelope, Message


@dataclass
class Asked:
    """Somebody wants to be greeted."""

    name: str


@dataclass
class Answered:
    """Somebody whom this node asked has greeted."""

    greeting: str


@dataclass
class Outcome:
    """What `handle` found, on its way to `finalize`."""

    found: Asked | Answered

    @classmethod
    @explained
    def finalize(cls, this: "Outcome") -> list[Effect]:
        """Turns what was found into effects; waits for nothing. Never cancelled."""
        match this.found:
            case Asked(name):
                return [Effect_Reply(outgoing("MyHandlerReply", greeting=f"Hello, {name}!"))]
            case Answered(greeting):
                return [Effect_Deliver(greeting.encode())]


class Handler(exports.Handler):
    @explained
    def handle(self, envelope: Envelope, message: Message) -> Outcome | None:
        """Reads, checks, waits; changes nothing. May be cancelled."""
        authenticated(envelope)
        match message.kind:
            case "MyHandlerRequest":
                return Outcome(Asked(**fields(message.fields, name=str)))
            case "MyHandlerReply":
                return Outcome(Answered(**fields(message.fields, greeting=str)))
            case _:
                unknown_kind(message)
