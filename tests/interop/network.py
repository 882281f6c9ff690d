"""Networks on this machine: programs started, asked and stopped, and the secrets they leave on disk."""

import base64
import hashlib
import json
import os
import queue
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

REAL = Path(__file__).parent / "real"
READY_SECONDS = 300  # a real node on a busy machine; 6 to 26 s are usual


@dataclass(frozen=True)
class Tools:
    """What the programs are run with."""

    python: Path  # of the virtual environment that has Fed-BioMed
    backchannel: Path
    contexts: Path  # the example that prints a stopped node's contexts
    environment: dict


class Program:
    """A running program that answers in JSON lines. Its standard error goes to a file of its own."""

    def __init__(self, name, command, folder, environment):
        self.name = name
        self.ready = None  # what it says when it is
        self.log = folder / f"{name}.log"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env=environment,
                text=True,
            )
        self.lines = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def answer(self, seconds):
        """The next line, as an object."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"{self.name} said nothing for {seconds} s; see {self.log}") from None
        if line is None:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}; see {self.log}")
        return json.loads(line)

    def begin(self, do, **arguments):
        """Has the program do something, without waiting for what it says about that."""
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()

    def ask(self, do, seconds=70, **arguments):
        """Has the program do something; what it says about that. A failure of its own is raised."""
        self.begin(do, **arguments)
        answer = self.answer(seconds)
        if "failed" in answer:
            raise RuntimeError(f"{self.name}: {do}: {answer['failed']}")
        return answer

    def stop(self, how=signal.SIGTERM):
        """Ends the program, and waits for its end."""
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdin.close()


class Network:
    """Programs around one port of the loopback interface; all are stopped with it."""

    def __init__(self, tools, folder):
        self.tools, self.folder = tools, folder
        folder.mkdir(parents=True)
        self.port = free_port()
        self.running = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.running.values():
            program.process.send_signal(signal.SIGCONT)
            program.process.terminate()
        for program in self.running.values():
            program.stop()

    def real_researcher(self):
        """A Fed-BioMed researcher, with its server."""
        return self.python("researcher", "researcher.py", self.port, self.folder / "researcher")

    def real_node(self, name):
        """A whole Fed-BioMed node."""
        return self.python(name, "node.py", name, self.port, self.folder / name)

    def real_peer(self, name):
        """The node-to-node part of a Fed-BioMed node."""
        return self.python(name, "peer.py", name, self.port, self.folder / name)

    def our_relay(self):
        """A backchannel relay."""
        command = ["relay", "--researcher-id", "RESEARCHER_ours", "--data", "relay"]
        return self._backchannel("relay", [*command, "--listen", f"127.0.0.1:{self.port}"])

    def our_node(self, name, port=None):
        """A backchannel node, which reaches its researcher at another port if it is given one."""
        return self._backchannel(name, ["node", *self.settings_of_our_node(name, port)])

    def settings_of_our_node(self, name, port=None):
        """What a backchannel node is started with. It may talk to nodes of Fed-BioMed, unless its policy is there already."""
        policy = self.folder / f"{name}-data" / "policy.toml"
        if not policy.exists():
            policy.parent.mkdir(mode=0o700, exist_ok=True)
            policy.write_text('version = 1\n[channels]\nsuite-1 = "any"\n')
        return ["--id", name, "--researcher", f"127.0.0.1:{port or self.port}", "--data", f"{name}-data"]

    def ready(self, *names):
        """Waits until the programs, all by default, have said that they are."""
        for name in names or tuple(self.running):
            self.running[name].ready = self.running[name].answer(READY_SECONDS)

    def stop(self, name, how=signal.SIGTERM):
        """Ends one program."""
        self.running.pop(name).stop(how)

    def pause(self, name):
        """Keeps a program from running. What is sent to it waits at its sockets."""
        self.running[name].process.send_signal(signal.SIGSTOP)

    def resume(self, name):
        """Lets a paused program run again."""
        self.running[name].process.send_signal(signal.SIGCONT)

    def forget(self, name):
        """Removes all that a stopped real program has on disk."""
        shutil.rmtree(self.folder / name)

    def command(self, *arguments):
        """Runs a command of backchannel to its end: its JSON output. A failure is raised with what it printed."""
        code, out, err = self.ended(self.begin(*arguments))
        if code:
            raise RuntimeError(f"backchannel {' '.join(arguments)}: {err.strip() or out.strip()}")
        return json.loads(out)

    def begin(self, *arguments):
        """Starts a command of backchannel."""
        return subprocess.Popen(
            [self.tools.backchannel, "-o", "json", *arguments],
            cwd=self.folder,
            env=self.tools.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, command):
        """Waits for a command's end: its exit code, and what it wrote."""
        out, err = command.communicate(timeout=90)
        return command.returncode, out, err

    def fingerprint_of_the_researcher(self):
        """The SHA-256 of the real researcher's certificate, from its own folder."""
        (certificate,) = (self.folder / "researcher" / "etc" / "certs").glob("**/*.pem")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()

    def contexts_of_real_node(self, name):
        """{secagg id: {peer: hex} or decimal} from a real node's database, which may be running."""
        (database,) = (self.folder / name / "var").glob("db_*.json")
        contexts = {}
        for entry in json.loads(database.read_text()).get("SecaggManager", {}).values():
            context = entry["context"]
            if "server_key" in context:
                contexts[entry["secagg_id"]] = str(context["server_key"])
            else:
                pairs = {peer: base64.b64decode(secret).hex() for peer, secret in context.items()}
                contexts[entry["secagg_id"]] = pairs
        return contexts

    def contexts_of_our_node(self, name):
        """The same from a backchannel node, which must be stopped."""
        store = self.folder / f"{name}-data" / "node.redb"
        printed = subprocess.run(
            [self.tools.contexts, name, store], check=True, capture_output=True, text=True
        ).stdout
        lines = map(json.loads, printed.splitlines())
        return {line["secagg_id"]: line["secret"] for line in lines}

    def researcher_key_of_our_relay(self, secagg_id):
        """The server key that a backchannel relay keeps for its researcher."""
        file = self.folder / "relay" / "server-keys" / secagg_id.encode().hex()
        return str(int.from_bytes(file.read_bytes(), "big", signed=True))

    def python(self, name, script, *arguments):
        """A program of `real/`."""
        return self._start(name, [self.tools.python, REAL / script, *arguments])

    def _backchannel(self, name, command):
        return self._start(name, [self.tools.backchannel, "-o", "json", *command])

    def _start(self, name, command):
        program = Program(name, command, self.folder, self.tools.environment)
        self.running[name] = program
        return program


class Wire:
    """Passes bytes on between a node and its researcher. What the node sends can be held."""

    def __init__(self, port):
        self.to = port
        self.open = threading.Event()
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        """From now on nothing that the node sends arrives, until it is released."""
        self.open.clear()

    def release(self):
        """Lets through what is sent from now on."""
        self.open.set()

    def close(self):
        """No further connections."""
        self.listener.close()

    def _accept(self):
        while True:
            try:
                node, _ = self.listener.accept()
            except OSError:
                return
            researcher = socket.create_connection(("127.0.0.1", self.to))
            for ends in ((node, researcher, self.open.wait), (researcher, node, lambda: None)):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    @staticmethod
    def _pass_on(source, target, wait):
        try:
            while data := source.recv(1 << 14):
                wait()
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def free_port():
    """A port that was free a moment ago: Fed-BioMed cannot be told to take any."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment():
    """That of this process, without settings of Fed-BioMed or backchannel, and without caches in the source tree."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FBM_", "BACKCHANNEL_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}
