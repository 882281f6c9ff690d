"""The rows of the table: what is compared with what, and what the goal is."""

from dataclasses import dataclass
from typing import Callable, Optional

LESS, MORE = "at most", "at least"


@dataclass
class Row:
    """One line. `ours`, `reference` and `floor` are keys of figures; a goal is a value in the unit of `ours`, or a ratio to the reference or the floor."""

    work: str
    ours: str
    unit: str
    goal: Optional[float] = None
    sense: str = LESS
    goal_ratio: Optional[tuple] = None
    reference: Optional[str] = None
    floor: Optional[str] = None
    floor_is: str = ""
    limited_by: str = ""

    def met(self, ours, others) -> Optional[bool]:
        """Whether the goal is reached; `None` if there is nothing to tell it by. `others` are `reference` and `floor`, in the unit of ours."""
        goal = self.goal
        if self.goal_ratio:
            times, to = self.goal_ratio
            other = others[to]
            goal = None if other is None else (other / times if self.sense == LESS else other * times)
        if ours is None or goal is None:
            return None
        return ours <= goal if self.sense == LESS else ours >= goal

    def goal_in_words(self) -> str:
        if self.goal_ratio:
            times, to = self.goal_ratio
            if to == "reference":
                return f"{times:g} × faster" if self.sense == LESS else f"{times:g} × as many"
            return f"{times * 100:.0f} % of the floor" if self.sense == MORE else f"{1 / times:.2g} × the floor"
        if self.goal is None:
            return "–"
        return f"{'≤' if self.sense == LESS else '≥'} {shown(self.goal, self.unit)}"


def shown(value, unit) -> str:
    """A figure with three digits, in a unit that suits it."""
    if value is None:
        return "–"
    for small, large, factor in (("us", "ms", 1000), ("ms", "s", 1000)):
        if unit == small and value >= 1000:
            value, unit = value / factor, large
    for large, small in (("s", "ms"), ("ms", "us")):
        if unit == large and value < 1:
            value, unit = value * 1000, small
    digits = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{digits} {unit.replace('us', 'µs')}".strip()


HANDLER = "a message of 512 B/in a fresh sandbox, threads: "
CHANNELS = "messages of "

REQUEST = (
    "With one in flight three processes wake each other in turn, there and back: of the samples of both processors 27 % are idle and 28 % more are the kernel's, most of it putting threads to sleep and waking them; our code and its libraries have 43 %. The floor has as many turns of processes and takes 0.16 ms here (0.13 where the goal was set); within each, ours passes a message from the connection's task to one that treats it and on to one that sends, which may wake the other processor. In suite 1 one signature and one verification at each end are another 0.1 ms. With more in flight nobody is waited for. Waiting busily would lift it, for a processor to each process."
)
COLD = (
    "All nodes and the relay share two processors, which are busy throughout: 780 pairs in 1.9 s are 4.8 ms of computing for each, both ends and the relay. Of the samples of the worker threads P-256 has a good third (31 % ECDH by p256, of which the protocol asks for four, 134 µs each; ring signs and verifies), the kernel 20 % (network, the store, page faults of first instances), tokio, tonic and h2 11 %, wasmtime 5 %. A processor for each node would lift it, and ECDH by a provider that takes a kept key: ring does not. The engine's clocks resting sooner, after 4 ms instead of 20, was tried: slower."
)

ROWS = [
    Row("handler call in a fresh sandbox (instantiate, handle, finalize)", HANDLER + "1", "us", 15, floor="a message of 512 B/natively", floor_is="natively", limited_by="Clearing the instance's memory for the next message (memset) has 15 % of the samples, copying 7 %; nothing else has more than 3 %, and no system call is left. Memory of 128 KiB was tried, which clears less, but guests then grow it for each message: two calls that interrupt the other processor. To reset only the pages that were written (the kernel's pagemap scan) was tried: up to 15 % less, or none, from run to run, and a system call again."),
    Row("the same on two threads, messages per second, to one", "two-threads-to-one", "×", 1.8, MORE, limited_by="What all threads count together: each pointer to the engine, the module, the plugin that an instance shares is a line of cache that wanders from one processor to the other. With one count for all of a node's services instead of ten, and no timer for a call that ends at its first poll, it went from 1.1 to 1.9; the rest is wasmtime's."),
    Row("suite 1, seal 512 B", CHANNELS + "512 B/suite 1, seal", "us", sense=LESS, goal_ratio=(12, "reference"), reference="seal-512", floor="P-256/sign", floor_is="one signature"),
    Row("suite 1, open 512 B", CHANNELS + "512 B/suite 1, open", "us", sense=LESS, goal_ratio=(6, "reference"), reference="open-512", floor="P-256/verify", floor_is="one verification"),
    Row("suite 2, seal 512 B", CHANNELS + "512 B/suite 2, seal", "us", 4, floor="512 B/ChaCha20-Poly1305", floor_is="the cipher", limited_by="The cipher alone takes half of it, the derivation of the message's key the rest."),
    Row("suite 2, open 512 B", CHANNELS + "512 B/suite 2, open", "us", 4, floor="512 B/ChaCha20-Poly1305", floor_is="the cipher", limited_by="The cipher alone takes half of it, the derivation of the message's key the rest."),
    Row("suite 1, seal and open 1 MiB", "seal-open-1mib-suite-1", "us", 800, reference="seal-open-1mib", floor="floor-1mib-suite-1", floor_is="SHA-256 and keystream, each twice", limited_by="SHA-256 and ChaCha20, each at both ends, take 1.3 ms here: a message of suite 1 is hashed for its signature at both ends, 0.5 ms each, by the processor's own instructions. Only another suite lifts it."),
    Row("suite 2, seal and open 1 MiB", "seal-open-1mib-suite-2", "us", 800, floor="floor-1mib-suite-2", floor_is="the cipher, twice", limited_by="The cipher at both ends takes 0.7 ms here: ChaCha20 with AVX-512 0.15 ms for each, Poly1305 with AVX2 0.2. Each end then writes the message once more, encoding or decoding what is inside, and erases what it leaves behind; with page faults where the C library has given such memory back. Sealing in the buffer that leaves and unpadding in place are done: on a slower machine it was 2.3 times the floor without them. Poly1305 with AVX-512 would lift it. Another allocator (mimalloc) was tried: the same, slower at 16 MiB and for 1,000 nodes, and 1 to 4 MiB more for each node."),
    Row("request → reply through the relay, 1 in flight, p50, suite 1", "request-p50-suite-1", "ms", 0.4, reference="request-reply-p50", floor="floor-request-p50", floor_is="two ping-pongs of bare tonic", limited_by=REQUEST),
    Row("the same, suite 2", "request-p50-suite-2", "ms", 0.4, reference="request-reply-p50", floor="floor-request-p50", floor_is="two ping-pongs of bare tonic", limited_by=REQUEST),
    Row("32 in flight, suite 1", "request-rate-32-suite-1", "/s", 8000, MORE, reference="requests-per-second-32", limited_by=REQUEST),
    Row("32 in flight, suite 2", "request-rate-32-suite-2", "/s", 8000, MORE, reference="requests-per-second-32", limited_by=REQUEST),
    Row("computing for each, all three processes, suite 1", "request-cpu-32-suite-1", "ms", 0.25, reference="cpu-per-request-32", limited_by=REQUEST),
    Row("computing for each, all three processes, suite 2", "request-cpu-32-suite-2", "ms", 0.25, reference="cpu-per-request-32", limited_by=REQUEST),
    Row("cold set-up, 3 nodes, suite 1", "cold-setup-3-suite-1", "s", 0.02, reference="cold-setup-3", limited_by=COLD),
    Row("cold set-up, 3 nodes, suite 2", "cold-setup-3-suite-2", "s", 0.02, reference="cold-setup-3", limited_by=COLD),
    Row("cold set-up, 10 nodes, suite 1", "cold-setup-10-suite-1", "s", 0.1, reference="cold-setup-10", limited_by=COLD),
    Row("cold set-up, 10 nodes, suite 2", "cold-setup-10-suite-2", "s", 0.1, reference="cold-setup-10", limited_by=COLD),
    Row("cold set-up, 40 nodes, suite 1", "cold-setup-40-suite-1", "s", 1.5, reference="cold-setup-40", limited_by=COLD),
    Row("cold set-up, 40 nodes, suite 2", "cold-setup-40-suite-2", "s", 1.5, reference="cold-setup-40", limited_by=COLD),
    Row("LOM, protect 1,000,000 values, 10 parties", "LOM/protect", "us", 40_000, reference="lom-protect-1m-10", floor="LOM/keystream alone, one core", floor_is="the keystream on one core"),
    Row("LOM, aggregate the same", "LOM/aggregate", "us", 15_000, reference="lom-aggregate-1m-10", floor="LOM/memory read alone, one core", floor_is="memory read on one core"),
    Row("Joye-Libert, protect 10,000 values", "Joye-Libert/protect", "us", 360_000, reference="joye-libert-protect-10000", limited_by="Exponentiation modulo a 2,048-bit number; in constant time, on all processors."),
    Row("node, start to first poll", "node-start", "ms", 150, reference="node-start"),
    Row("node, first start (empty data directory)", "node-first-start", "ms", 150, reference="node-start", limited_by="It compiles three components, 0.2 s of computing, since today all at a time: two processors halve it, three would do more. To ship compiled code would lift it, and is refused for what it would ask one to trust."),
    Row("node, idle memory after its first start, for which it compiled", "node-idle-after-first", "MiB", reference="node-idle-mib"),
    Row("node, idle memory", "node-idle", "MiB", 40, reference="node-idle-mib", limited_by="Two thirds of it are the program's own pages."),
    Row("10,000 requests that wait for material, memory", "waiting-memory", "MiB", 400, limited_by="A message that waits has no sandbox; its task is as large as what it still passes by."),
    Row("others' p99 meanwhile, to without", "waiting-p99-ratio", "×", 1.1, limited_by="What it is without them varies by as much from run to run."),
    Row("relay, overlay messages forwarded", "forwarded", "/s", sense=MORE, goal_ratio=(0.7, "floor"), floor="floor-forwarded", floor_is="bare tonic", limited_by="The relay reads whose a message is and to whom, keeps it in a mailbox until the node has said that it came, and answers its sender: half as much computing again as a server that looks at nothing. Of the samples, reading the message had some 20 % and waking the other half of the line for each message much of the rest; reading in place, one wake for a batch and one lock for a draw took it from 52 to 60 % of the floor to 66 to 71 %. Nodes found by hash and waits kept from message to message were tried: no gain."),
    Row("1,000 nodes on one relay, computing for a message to that of 10", "nodes-1000-to-10", "×", 1.3, floor="floor-nodes-1000-to-10", floor_is="bare tonic, the same", limited_by="All exchanges come to their end. A bare server misses the goal too. With 10 nodes several messages come at one wake of a connection; with 1,000 each is a read, a wake and a write of its own on one that the processor's caches have forgotten. The profile among 1,000 is flat: nothing of ours has above 5 %. Memory is some 55 KiB for each node. Acknowledgements after 100 ms instead of 10 and nodes found by hash were tried: no gain. To read and write for many connections in one call of the kernel would lift it (io_uring), which tokio's sockets do not."),
]
