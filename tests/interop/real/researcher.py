"""A Fed-BioMed researcher that does what it is told (see `commands.py`).

    researcher.py PORT FOLDER

FOLDER is a component folder, made when missing. Started again on the same folder, the researcher has the same id and
shows the same certificate.
"""

import os
import sys
import time
from dataclasses import dataclass

import commands

port, folder = sys.argv[1], os.path.abspath(sys.argv[2])
os.environ.update(
    FBM_RESEARCHER_COMPONENT_ROOT=folder,
    FBM_SERVER_HOST="127.0.0.1",
    FBM_SERVER_PORT=port,
    GRPC_SERVER_SETUP_TIMEOUT="0",  # or it waits for a first node, which is for the cases to do
)

import fedbiomed.common.message as messages  # noqa: E402
from fedbiomed.researcher.config import config  # noqa: E402  (makes the component)
from fedbiomed.researcher.requests import Requests, StopOnTimeout  # noqa: E402
from fedbiomed.researcher.secagg import SecaggDHContext, SecaggServkeyContext  # noqa: E402
from fedbiomed.transport.node_agent import NodeActiveStatus  # noqa: E402


@dataclass
class UnheardOfRequest(messages.RequestReply, messages.RequiresProtocolVersion):
    """A class of message that no version of Fed-BioMed has."""

    researcher_id: str


researcher_id = config.get("default", "id")
requests = Requests(config)


def connected(parties, within):
    """Waits until all parties poll."""
    began = time.monotonic()
    while True:
        active = {
            agent.id for agent in requests._grpc_server.get_all_nodes() if agent.status == NodeActiveStatus.ACTIVE
        }
        missing = sorted(set(parties) - active)
        if not missing:
            return {"seconds": time.monotonic() - began}
        if time.monotonic() - began > within:
            raise TimeoutError(f"not connected: {missing}")
        time.sleep(0.05)


def send(kind, fields, nodes, within):
    """Any request of `fedbiomed.common.message` (or the unheard-of one) through the researcher's own `Requests`."""
    classes = {**vars(messages), "UnheardOfRequest": UnheardOfRequest}
    request = classes[kind](researcher_id=researcher_id, **fields)
    began = time.monotonic()
    with requests.send(request, nodes, [StopOnTimeout(within)]) as sent:
        replies = {node: shown(reply) for node, reply in {**sent.replies(), **sent.errors()}.items()}
    return {"replies": replies, "seconds": time.monotonic() - began}


def shown(reply):
    fields = {key: value for key, value in reply.get_dict().items() if isinstance(value, (str, int, list, type(None)))}
    return {"class": type(reply).__name__, **fields}


def set_up(scheme, parties, secagg_id=None):
    """A whole set-up by the researcher's own classes, under an id of its own unless one is given."""
    context = {"dh": SecaggDHContext, "server-key": SecaggServkeyContext}[scheme](
        researcher_id, parties, f"experiment_{os.urandom(4).hex()}", secagg_id
    )
    began = time.monotonic()
    context.setup()
    answer = {"secagg_id": context.secagg_id, "seconds": time.monotonic() - began}
    if scheme == "server-key":
        answer["researcher_key"] = str(context.context["server_key"])
    return answer


def set_up_and_delete(scheme, parties):
    """A set-up that is taken back, by the researcher's own classes."""
    context = {"dh": SecaggDHContext, "server-key": SecaggServkeyContext}[scheme](
        researcher_id, parties, f"experiment_{os.urandom(4).hex()}"
    )
    context.setup()
    context.delete()
    return {"secagg_id": context.secagg_id, "experiment_id": context.experiment_id}


commands.serve(
    researcher_id, connected=connected, send=send, set_up=set_up, set_up_and_delete=set_up_and_delete
)
