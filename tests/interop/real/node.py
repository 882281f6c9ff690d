"""A whole Fed-BioMed node, as its own command line starts it, without data sets.

    node.py ID PORT FOLDER

FOLDER is a Fed-BioMed component folder, made when missing; started again on the same folder, the node has its keys.
Lives until it is killed.
"""

import os
import sys

import commands

node_id, port, folder = sys.argv[1], sys.argv[2], os.path.abspath(sys.argv[3])
# Fed-BioMed looks `FBM_<SECTION>_<KEY>` up before its configuration file: so a node gets an id of our choice.
os.environ.update(
    FBM_DEFAULT_ID=node_id, FBM_DEFAULT_NAME=node_id, FBM_RESEARCHER_IP="127.0.0.1", FBM_RESEARCHER_PORT=port
)

from fedbiomed.node.config import node_component  # noqa: E402
from fedbiomed.node.node import Node  # noqa: E402

node = Node(node_component.initiate(root=folder))
node.start_messaging(on_finish=lambda: os._exit(1))
node.start_protocol()
commands.tell({"ready": node.node_id})
node.task_manager()
