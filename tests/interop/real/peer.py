"""The node-to-node part of a Fed-BioMed node, without the rest: it asks and answers KeyRequests (see `commands.py`), and
does what a dishonest node could.

    peer.py ID PORT FOLDER

A real node publishes a key only in a set-up, and a key is always as long. This one publishes as many bytes as it is
told, so that a relay can be tried with small and large messages, one by one and many at a time.
"""

import asyncio
import hashlib
import os
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import commands
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fedbiomed.common.logger import logger
from fedbiomed.common.message import KeyReply, KeyRequest, Message, OverlayMessage, PingReply, PingRequest
from fedbiomed.common.synchro import EventWaitExchange
from fedbiomed.node.requests import NodeToNodeRouter, send_nodes
from fedbiomed.transport.client import ResearcherCredentials
from fedbiomed.transport.controller import GrpcController

own, port, folder = sys.argv[1], sys.argv[2], os.path.abspath(sys.argv[3])
os.makedirs(folder, exist_ok=True)

researcher = {}
overlays = []
asked = []
met = threading.Event()


def treat(raw):
    """What a node does with a message from its researcher, as far as it concerns this program."""
    message = Message.from_dict(raw)
    if isinstance(message, OverlayMessage):
        router.submit(message)
        if not message.setup:
            overlays.append(message.node_id)
    elif isinstance(message, PingRequest):
        reply = PingReply(
            request_id=message.request_id, researcher_id=message.researcher_id, node_id=own, node_name=own
        )
        grpc.send(reply)
    researcher["id"] = message.researcher_id
    met.set()


grpc = GrpcController(own, [ResearcherCredentials(port=port, host="127.0.0.1")], treat)
pending = EventWaitExchange(remove_delivered=True)
published = EventWaitExchange(remove_delivered=False)
router = NodeToNodeRouter(own, os.path.join(folder, "channels.json"), grpc, pending, published)
router.start()
grpc.start()
logger.setLevel("ERROR")


def body(run, length):
    """What asker and answerer agree on beforehand: bytes that only this run has."""
    return hashlib.shake_256(run.encode()).digest(length)


def meet(within):
    """Waits for the first message, which tells the researcher's id."""
    if not met.wait(within):
        raise TimeoutError("the relay sent nothing")
    return {"researcher": researcher["id"]}


def overlays_from(node):
    """How many messages have come from a node, those that set up channels aside."""
    return {"count": overlays.count(node)}


def publish(run, length):
    """Makes `length` bytes available to KeyRequests for `run`, for 70 s as in a real set-up."""
    published.event(run, {"public_key": body(run, length)})
    return {}


def publish_key(run):
    """Makes a key of the run available, as a real set-up does."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    published.event(run, {"public_key": pem})
    return {}


def ask(peer, run, length, in_flight, count):
    """`count` KeyRequests, `in_flight` at a time; each reply must be what `peer` published. Latencies in ms."""
    expected = body(run, length)

    def once(_):
        request = key_request(peer, run)
        began = time.monotonic()
        _, replies = send_nodes(router, grpc, pending, researcher["id"], [peer], [request], True)
        took = time.monotonic() - began
        (reply,) = replies
        if (reply.request_id, reply.node_id, reply.public_key) != (request.request_id, peer, expected):
            raise ValueError("the reply is not what was published")
        return took * 1e3

    began = time.monotonic()
    with ThreadPoolExecutor(in_flight) as threads:
        took = sorted(threads.map(once, range(count)))
    return {
        "median_ms": took[len(took) // 2],
        "p99_ms": took[len(took) * 99 // 100],
        "slowest_ms": took[-1],
        "per_second": count / (time.monotonic() - began),
    }


def ask_in_vain(peer, count=1):
    """Sends requests that stay without an answer; does not wait. The first has both set up their channel."""
    requests = [key_request(peer, f"run {number} of nobody") for number in range(count)]
    arguments = (router, grpc, pending, researcher["id"], [peer] * count, requests, False)
    threading.Thread(target=send_nodes, args=arguments, daemon=True).start()
    return {}


def key_request(peer, run):
    return KeyRequest(request_id=f"request_{uuid.uuid4()}", node_id=own, dest_node_id=peer, secagg_id=run)


def forge(dest, count, source=None, length=300, researcher_id=None):
    """Sends noise in another node's name, or in those of as many nodes as messages. Servers do not check who sends."""
    for number in range(count):
        noise = OverlayMessage(
            researcher_id=researcher_id or researcher["id"],
            node_id=source or f"forged-{number}",
            dest_node_id=dest,
            overlay=os.urandom(length),
            setup=False,
            salt=os.urandom(32),
            nonce=os.urandom(16),
        )
        grpc.send(noise)
    return {}


def ask_twice(peer, run):
    """Sends one request for what `peer` has published as two equal messages: how many replies come within 5 s."""
    sealed, before = seal(key_request(peer, run)), len(overlays)
    grpc.send(sealed)
    grpc.send(sealed)
    time.sleep(5)
    return {"replies": len(overlays) - before}


def seal(message, source=own, setup=False):
    """An inner message as it goes out, or under the key that is published with Fed-BioMed."""
    channel = router._overlay_channel
    # The keys derive from the ids of both ends.
    channel._node_id = source
    sealing = channel.format_outgoing_overlay(message, researcher["id"], setup)
    overlay, salt, nonce = asyncio.run_coroutine_threadsafe(sealing, router._loop).result()
    channel._node_id = own
    return OverlayMessage(
        researcher_id=researcher["id"],
        node_id=source,
        dest_node_id=message.dest_node_id,
        overlay=overlay,
        setup=setup,
        salt=salt,
        nonce=nonce,
    )


def begin_to_ask(peer, run):
    """Asks, and does not wait: the request's id."""
    request = key_request(peer, run)
    asked.clear()

    def wait():
        _, replies = send_nodes(router, grpc, pending, researcher["id"], [peer], [request], False)
        asked.extend(replies)

    threading.Thread(target=wait, daemon=True).start()
    return {"request_id": request.request_id}


def answers():
    """What has completed the last request so far: whose name is on it, and its content."""
    return {"answers": [[reply.node_id, reply.public_key.decode()] for reply in asked]}


def lie(to, request_id, run, source=None):
    """Answers a request that another node was asked: in its own name, or in `source`'s under the published key."""
    reply = KeyReply(
        request_id=request_id, node_id=source or own, dest_node_id=to, public_key=b"a lie", secagg_id=run
    )
    grpc.send(seal(reply, source or own, setup=source is not None))
    return {}


commands.serve(
    own,
    meet=meet,
    overlays_from=overlays_from,
    publish=publish,
    publish_key=publish_key,
    ask=ask,
    ask_in_vain=ask_in_vain,
    ask_twice=ask_twice,
    begin_to_ask=begin_to_ask,
    answers=answers,
    lie=lie,
    forge=forge,
)
