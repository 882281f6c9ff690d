"""A relay and nodes, each on a host of its own: processes in network namespaces, with one wire between them."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "interop"))

from network import Program  # noqa: E402
from wire import DEVICE, Wire, ip  # noqa: E402

PORT = 50051
PATIENCE = 60  # seconds for what takes some on an idle machine
AGES = {"a": [61, 48], "b": [70, 33, 52], "c": [29, 80]}  # what each node's column holds

FAILED, INPUT, UNREACHABLE, REFUSED = 1, 3, 4, 5  # exit codes, as in the README


@dataclass(frozen=True)
class Tools:
    """What all networks use."""

    program: Path
    environment: dict


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    said: dict  # its JSON
    seconds: float

    @property
    def why(self):
        """The reason of one that failed."""
        return self.said["error"]["why"]

    def blamed(self):
        """{party: what a failed set-up says of it}, of those that are not content."""
        return dict(each.split(" ", 1) for each in self.why.split("; "))


class Network:
    """The hosts of one relay and its nodes. They end with this program."""

    def __init__(self, tools, folder, nodes="abc"):
        self.tools, self.folder = tools, folder
        self.wire = Wire(seed=folder.name)
        self.running = {}
        self.started = {}  # every program ever, by name: its command
        folder.mkdir(parents=True)
        self.address = self._host("relay")
        for node in nodes:
            self._host(node)
            (folder / f"{node}.csv").write_text("\n".join(["age", *map(str, AGES[node])]))

    def _host(self, name):
        return self.wire.join(name, self._namespace(name))

    def _namespace(self, name):
        return f"{self.folder.name}-{name}"

    # Programs.

    def start(self, *nodes):
        """Starts the relay and nodes, and waits until all are connected."""
        self.start_relay()
        for node in nodes:
            self.begin_node(node)
        for node in nodes:
            self.running[node].answer(PATIENCE)
        self.until_connected(*nodes)

    def start_relay(self):
        command = ["relay", "--researcher-id", "RESEARCHER_1", "--listen", f"{self.address}:{PORT}"]
        self._begin("relay", [*command, "--host", self.address, "--data", self.data("relay")])
        self.running["relay"].answer(PATIENCE)

    def begin_node(self, node):
        """Starts a node, without waiting for it. It talks to anybody in suite 1."""
        policy = Path(self.data(node)) / "policy.toml"
        if not policy.exists():
            policy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            policy.write_text('version = 1\n[channels]\nsuite-1 = "any"\n')
        self._begin(node, self._command_of(node))

    def start_node(self, node):
        """Starts a node, and waits until it is connected."""
        self.begin_node(node)
        self.running[node].answer(PATIENCE)
        self.until_connected(node)

    def not_starting(self, node):
        """Starts a node that must end by itself; how it ended."""
        return self.ended(self._started([*self._on_host(node), *self._command_of(node)]))

    def _command_of(self, node):
        return ["node", "--id", node, "--researcher", f"{self.address}:{PORT}", "--data", self.data(node)]

    def _on_host(self, name):
        return ["nsenter", f"--net=/run/netns/{self._namespace(name)}", self.tools.program, "-o", "json"]

    def _begin(self, name, command):
        command = [*self._on_host(name), *command]
        self.running[name] = Program(name, command, self.folder, self.tools.environment)

    def stop(self, name):
        """Asks a program to end; its exit code."""
        program = self.running.pop(name)
        program.stop()
        return program.process.returncode

    def kill(self, name):
        """Ends a program at once."""
        program = self.running.pop(name)
        program.process.kill()
        program.process.wait()

    def close(self):
        """Ends all."""
        for name in list(self.running):
            self.kill(name)

    def process(self, name):
        """A program's number."""
        return self.running[name].process.pid

    def memory(self, name):
        """What a program has resident, in MiB."""
        lines = Path(f"/proc/{self.process(name)}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def descriptors(self, name):
        """How many files and sockets a program has open."""
        return len(list(Path(f"/proc/{self.process(name)}/fd").iterdir()))

    def ended_by_themselves(self):
        """Programs that should run and do not."""
        return [name for name, program in self.running.items() if program.process.poll() is not None]

    def log(self, name):
        """What a program has logged."""
        return (self.folder / f"{name}.log").read_text()

    # The wire.

    def cable(self, name, plugged):
        """Takes a host off its wire, so that it has no network, or puts it back."""
        ip("-n", self._namespace(name), "link", "set", DEVICE, "up" if plugged else "down")

    # What they are asked.

    def data(self, name):
        """A program's data directory."""
        return self.folder / name

    def command(self, *arguments):
        """Runs a command; how it ended."""
        return self.ended(self.begin(*arguments))

    def begin(self, *arguments):
        """Starts a command. The sockets that it uses are files, so it needs no host."""
        return self._started([self.tools.program, "-o", "json", *arguments])

    def _started(self, command):
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.tools.environment,
            text=True,
        )
        return process, time.monotonic()

    def has_ended(self, started):
        """Whether a command is at its end; `ended` does not wait then."""
        return started[0].poll() is not None

    def ended(self, started, within=PATIENCE + 30):
        """Waits for a command's end. One that does not end within so many seconds of its start is a failure."""
        process, began = started
        try:
            out, err = process.communicate(timeout=max(1, began + within - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"`{' '.join(process.args)}` has not ended after {within} s") from None
        if "panicked" in err:
            raise AssertionError(f"`{' '.join(process.args)}`: {err}")
        return Ended(process.returncode, json.loads(out), time.monotonic() - began)

    def answer(self, *arguments):
        """The JSON of a command that must succeed."""
        ended = self.command(*arguments)
        if ended.code:
            raise AssertionError(f"`{' '.join(map(str, arguments))}` ended with {ended.code}: {ended.said}")
        return ended.said

    def status(self, name):
        """What a program says of itself."""
        return self.answer("status", "--data", self.data(name))

    def contexts(self, node):
        """The ids of a node's secagg contexts."""
        return {context["secagg_id"] for context in self.status(node)["contexts"]}

    def sent(self, node, kind):
        """How many messages of a kind a node has sent."""
        return self.status(node)["sent"].get(kind, 0)

    def begin_set_up(self, parties="abc", scheme="dh"):
        """Has the researcher ask for a set-up."""
        command = ["secagg", "setup", "--relay", self.data("relay"), "--scheme", scheme]
        return self.begin(*command, "--parties", ",".join(parties))

    def set_up(self, parties="abc", scheme="dh"):
        """Has the researcher set up; how that ended."""
        return self.ended(self.begin_set_up(parties, scheme))

    def set_up_id(self, parties="abc", scheme="dh"):
        """The id of a set-up that must succeed."""
        ended = self.set_up(parties, scheme)
        if ended.code:
            raise AssertionError(f"a set-up among {parties} failed: {ended.said}")
        return ended.said["secagg_id"]

    def protect(self, node, secagg_id, round_):
        """Has a node mask its column's sum; how that ended."""
        column = ["--data", self.folder / f"{node}.csv", "--column", "age"]
        return self.command(
            "secagg", "protect", "--node", self.data(node), "--id", secagg_id, "--round", round_, *column
        )

    def check_sums(self, secagg_id, parties="abc", round_=1):
        """The masked sums of a context, together, are the sum. It is so only if all parties agree on their secrets."""
        files = []
        for node in parties:
            protected = self.protect(node, secagg_id, round_)
            if protected.code:
                raise AssertionError(f"{node} does not protect for {secagg_id}: {protected.said}")
            file = self.folder / f"{node}-{round_}.json"
            file.write_text(json.dumps(protected.said))
            files.append(file)
        together = self.answer("secagg", "aggregate", *files)
        ages = [age for node in parties for age in AGES[node]]
        if together["count"] != len(ages) or abs(together["mean"] - sum(ages) / len(ages)) > 1e-6:
            raise AssertionError(f"{together} is not the mean of {ages}")

    def until_connected(self, *nodes):
        """Waits until the relay holds a poll of each."""

        def connected():
            listed = self.status("relay")["nodes"]
            return set(nodes) <= {node["id"] for node in listed if node["connected"]}

        until(f"{', '.join(nodes)} connected", connected)


def until(what, holds, within=PATIENCE):
    """Waits until something holds; what that is, if it is more than true."""
    deadline = time.monotonic() + within
    while not (held := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.05)
    return held


def check(holds, otherwise):
    """Fails the case unless `holds`."""
    if not holds:
        raise AssertionError(otherwise)
