"""The wires between hosts: every packet passes here, and may be lost, late, doubled, or out of its turn.

Linux can do this itself (`tc netem`) where it was built so. A TUN device for each host and a thread in between need no more than
`/dev/net/tun`, and count what they do.
"""

import fcntl
import heapq
import itertools
import os
import random
import selectors
import struct
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass

NETWORK = "10.0.0"  # within the namespaces only
DEVICE = "wire"  # its name in each namespace

TUNSETIFF = 0x400454CA
TUN_WITHOUT_HEADER = 0x0001 | 0x1000
LONGEST_PACKET = 1 << 16


@dataclass(frozen=True)
class Fault:
    """What happens to the packets of one direction. Shares are from 0 to 1, times in seconds."""

    loss: float = 0
    twice: float = 0
    delay: float = 0
    jitter: float = 0  # more or less than the delay, at most
    longest: int = LONGEST_PACKET  # bytes with its headers: longer ones are lost
    ahead: float = 0  # of the packets, how many do not wait: they overtake others


WHOLE = Fault()
LOST = Fault(loss=1)


class Wire:
    """A network of hosts, each a namespace with one address."""

    def __init__(self, seed):
        self.counts = Counter()  # of packets: passed, lost, twice, late, ahead
        self._random = random.Random(seed)
        self._hosts = {}  # last byte of the address: (name, device)
        self._faults = {}  # (name, "from" or "to"): Fault
        self._late = []  # heap of (when, number, device, packet)
        self._numbers = itertools.count()
        self._selector = selectors.DefaultSelector()
        threading.Thread(target=self._carry, daemon=True).start()

    def join(self, name, namespace):
        """Makes a namespace that has this wire as its only network; its address."""
        number = len(self._hosts) + 1
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        asked = struct.pack("16sH22x", b"host%d", TUN_WITHOUT_HEADER)
        made = fcntl.ioctl(device, TUNSETIFF, asked)[:16].rstrip(b"\0").decode()
        address = f"{NETWORK}.{number}"
        ip("netns", "add", namespace)
        ip("link", "set", made, "netns", namespace, "name", DEVICE)
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", DEVICE)
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "link", "set", DEVICE, "up")
        self._hosts[number] = (name, device)
        self._selector.register(device, selectors.EVENT_READ, name)
        return address

    def disturb(self, name, *, sent=WHOLE, received=WHOLE):
        """From now on, this happens to the packets that a host sends and receives. Without faults the wire is whole again."""
        self._faults[name, "from"], self._faults[name, "to"] = sent, received

    def _carry(self):
        while True:
            wait = max(0, self._late[0][0] - time.monotonic()) if self._late else 1
            for key, _ in self._selector.select(wait):
                try:
                    packet = os.read(key.fd, LONGEST_PACKET)
                except OSError:  # the device is down
                    continue
                self._take(key.data, packet)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, device, packet = heapq.heappop(self._late)
                self._hand_over(device, packet)

    def _take(self, source, packet):
        if packet[0] >> 4 != 4 or packet[19] not in self._hosts:
            return  # IPv6 looking for neighbours
        target, device = self._hosts[packet[19]]
        faults = [self._faults.get((source, "from"), WHOLE), self._faults.get((target, "to"), WHOLE)]
        copies = 1
        late = 0
        for fault in faults:
            if self._happens("lost", 1 if len(packet) > fault.longest else fault.loss):
                return
            if self._happens("twice", fault.twice):
                copies += 1
            if fault.delay and not self._happens("ahead", fault.ahead):
                late += fault.delay + self._random.uniform(-fault.jitter, fault.jitter)
        for _ in range(copies):
            if late:
                self.counts["late"] += 1
                heapq.heappush(self._late, (time.monotonic() + late, next(self._numbers), device, packet))
            else:
                self._hand_over(device, packet)

    def _happens(self, what, share):
        happens = self._random.random() < share
        self.counts[what] += happens
        return happens

    def _hand_over(self, device, packet):
        try:
            os.write(device, packet)
            self.counts["passed"] += 1
        except OSError:  # the device is down, or does not keep up
            self.counts["lost"] += 1


def ip(*arguments):
    """Debian's iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
