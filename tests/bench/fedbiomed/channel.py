"""The two ends of a ready Fed-BioMed channel, without a network: how long one message takes to seal and to open.

Driven like the programs of `tests/interop/real` (see `commands.py` there).
"""

import asyncio
import os
import tempfile
import time
import uuid
from statistics import median

import commands
from fedbiomed.common.logger import logger
from fedbiomed.common.message import KeyReply, OverlayMessage
from fedbiomed.node.requests._overlay import OverlayChannel

RESEARCHER = f"RESEARCHER_{uuid.uuid4()}"
ENDS = (f"NODE_{uuid.uuid4()}", f"NODE_{uuid.uuid4()}")

logger.setLevel("ERROR")
loop = asyncio.new_event_loop()


async def ready_channel():
    """Both ends, each with the other's public key, as after a channel set-up."""
    folder = tempfile.mkdtemp(dir=".")
    # Nothing is asked of the network once the keys are there.
    ends = [OverlayChannel(own, os.path.join(folder, f"{own}.json"), None) for own in ENDS]
    for end, other, peer in ((ends[0], ends[1], ENDS[1]), (ends[1], ends[0], ENDS[0])):
        own = ENDS[ends.index(end)]
        await end.get_local_public_key(peer)
        await end._channel_keys.add_pending_request(peer, "set-up")
        if not await end.set_distant_key(peer, await other.get_local_public_key(own), "set-up"):
            raise ValueError("the channel is not ready")
    return ends


async def seal_and_open(sender, receiver, content):
    """One message with these bytes, sealed and opened: seconds for each."""
    message = KeyReply(
        request_id=f"request_{uuid.uuid4()}",
        node_id=ENDS[0],
        dest_node_id=ENDS[1],
        public_key=content,
        secagg_id=f"secagg_{uuid.uuid4()}",
    )
    began = time.perf_counter()
    overlay, salt, nonce = await sender.format_outgoing_overlay(message, RESEARCHER, False)
    sealed = time.perf_counter() - began
    arrived = OverlayMessage(
        researcher_id=RESEARCHER,
        node_id=ENDS[0],
        dest_node_id=ENDS[1],
        overlay=overlay,
        setup=False,
        salt=salt,
        nonce=nonce,
    )
    began = time.perf_counter()
    inner = await receiver.format_incoming_overlay(arrived)
    opened = time.perf_counter() - began
    if inner.public_key != content:
        raise ValueError("what was opened is not what was sealed")
    return sealed, opened


def messages(length, count, runs):
    """Of each run of `count` messages, the median microseconds to seal and to open one."""

    async def run():
        content = os.urandom(length)
        took = [await seal_and_open(*ends, content) for _ in range(count)]
        return [median(each) * 1e6 for each in zip(*took)]

    seal, opened = zip(*(loop.run_until_complete(run()) for _ in range(runs)))
    return {"seal": seal, "open": opened}


ends = loop.run_until_complete(ready_channel())
commands.serve("channel", messages=messages)
