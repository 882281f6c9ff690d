"""Counts the rows that all parties have together, in one round: each tells the others how many it has, and each adds them up."""

from backchannel_sdk import explained, fields, malformed, packed
from wit_world.exports.rounds import Gather, Next, Next_Done, Next_Round, Round, Start
from wit_world.imports import inputs

# How long a party waits for the others, in seconds.
PATIENCE_S = 30


class Part:
    """This node's part: one value lives for one run."""

    def __init__(self, start: Start, rows: int) -> None:
        self.others = [party for party in start.parties if party != start.node_id]
        self.rows = rows
        self.told = False

    @classmethod
    @explained
    def begin(cls, start: Start) -> "Part":
        """Takes part, or says why not. Changes nothing."""
        params = fields(start.params, input=str)
        return cls(start, len(inputs.vector(params["input"])))

    @explained
    def accept(self, from_: str, body: bytes) -> None:
        """What one party told. A failure ends the run, and `malformed` blames that party."""
        rows = fields(body, rows=int)["rows"]
        if rows < 0:
            malformed("fewer rows than none")
        self.rows += rows

    @explained
    def next(self, missing: list[str]) -> Next:
        """What is next: the round in which all tell each other, then the result. All are needed, so nobody is ever missing."""
        rows = packed({"rows": self.rows})
        if self.told:
            return Next_Done(rows)
        self.told = True
        gather = Gather(self.others, len(self.others), PATIENCE_S)
        return Next_Round(Round([], rows, [], gather))
