"""A run of this node's own, from the researcher's request on."""

from backchannel_sdk import explained, fields, malformed, outgoing
from wit_world.exports.initiator import Addressed, Answer, Setup, Step
from wit_world.imports import agreement
from wit_world.imports.types import (
    Datum,
    Effect_Establish,
    Effect_Publish,
    PeerKey,
    SecaggContext_PairSecrets,
)


class Run:
    """One value lives for one run, and is dropped when it ends."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.asked = False

    @classmethod
    @explained
    def begin(cls, setup: Setup) -> "Run":
        """Begins a run. Changes nothing."""
        return cls(setup)

    @explained
    def step(self, answers: list[Answer]) -> Step:
        """The next round. It is finished when nobody is asked."""
        if self.asked:
            return self.establish(answers)
        self.asked = True
        return self.publish_and_ask()

    def publish_and_ask(self) -> Step:
        run = self.setup.run
        own_key = Datum(run, None, agreement.public_key())
        others = [party for party in self.setup.parties if party != self.setup.node_id]
        ask = [Addressed(party, outgoing("MyHandlerRequest", run=run)) for party in others]
        return Step([Effect_Publish(own_key)], ask)

    def establish(self, answers: list[Answer]) -> Step:
        keys = []
        for answer in answers:
            reply = fields(answer.body, run=str, public_key=bytes)
            if reply["run"] != self.setup.run:
                malformed(f"{answer.from_} answered for another run")
            keys.append(PeerKey(answer.from_, reply["public_key"]))
        return Step([Effect_Establish(SecaggContext_PairSecrets(keys))], [])
