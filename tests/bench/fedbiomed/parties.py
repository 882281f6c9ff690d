"""The part of Fed-BioMed nodes that sets secure aggregation up, for one or more parties in one process.

    parties.py PORT FOLDER ID...

A whole node takes 0.9 GiB and holds its tables per process, so that there cannot be two in one. Here each party has a
connection, a router and a database of its own, and treats one set-up at a time in a thread of its own, as a node does.
It answers no other requests. Lives until it is killed.
"""

import os
import queue
import sys
import threading

import commands
from fedbiomed.common.logger import logger
from fedbiomed.common.message import Message, OverlayMessage, SecaggRequest
from fedbiomed.common.secagg_manager import _SecaggTableSingleton
from fedbiomed.common.singleton import SingletonMeta
from fedbiomed.common.synchro import EventWaitExchange
from fedbiomed.node.requests import NodeToNodeRouter
from fedbiomed.node.secagg import SecaggSetup
from fedbiomed.transport.client import ResearcherCredentials
from fedbiomed.transport.controller import GrpcController

port, folder = sys.argv[1], os.path.abspath(sys.argv[2])
os.makedirs(folder, exist_ok=True)
one_table_at_a_time = threading.Lock()


class Party:
    """What a node has for node-to-node messages and set-ups."""

    def __init__(self, own):
        self.own, self.database = own, os.path.join(folder, f"{own}.json")
        self.grpc = GrpcController(own, [ResearcherCredentials(port=port, host="127.0.0.1")], self.treat)
        self.pending = EventWaitExchange(remove_delivered=True)
        self.published = EventWaitExchange(remove_delivered=False)
        self.router = NodeToNodeRouter(own, self.database, self.grpc, self.pending, self.published)
        self.tasks = queue.SimpleQueue()
        self.router.start()
        self.grpc.start()
        threading.Thread(target=self.work, daemon=True).start()

    def treat(self, raw):
        """A message from the researcher's server."""
        message = Message.from_dict(raw)
        if isinstance(message, OverlayMessage):
            self.router.submit(message)
        elif isinstance(message, SecaggRequest):
            self.tasks.put(message)

    def work(self):
        """Treats set-ups, one after the other."""
        while True:
            request = self.tasks.get()
            reply = self.set_up(request)
            reply.request_id = request.request_id
            self.grpc.send(reply)

    def set_up(self, request):
        """Does what a node does with a `SecaggRequest`; the reply."""
        arguments = request.get_dict()
        del arguments["protocol_version"], arguments["request_id"]
        with one_table_at_a_time:
            # Or all parties of this process shared the table of the first one, and found the run there already.
            SingletonMeta._objects.pop(_SecaggTableSingleton, None)
            step = SecaggSetup(
                **arguments,
                db=self.database,
                node_id=self.own,
                node_name=self.own,
                n2n_router=self.router,
                grpc_client=self.grpc,
                pending_requests=self.pending,
                controller_data=self.published,
            )()
        return step.setup()


parties = [Party(own) for own in sys.argv[3:]]
logger.setLevel("ERROR")
commands.serve([party.own for party in parties])
