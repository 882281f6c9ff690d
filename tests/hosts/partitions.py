"""Cases of the wire: cut, silent in one direction or both, flapping, slow, and cut for long."""

import os
import random
import signal
import statistics
import time

from hosts import FAILED, check, until
from wire import LOST, WHOLE, Fault

RESEARCHER_WAITS = 60  # seconds; then a request has failed
SLACK = 5  # what a busy machine may add
SOON = 10  # after healing, until a set-up has succeeded

# A wire that carries acknowledgements and probes, and no packet that says anything: neither end hears that anything is wrong.
EMPTY_ONLY = Fault(longest=64)  # bytes
# After so long a packet was just repeated in vain. The distances between repeats double, so the next one is far.
WORST = [7.5, 14]  # seconds

FLAPS_FOR = 30
MOST_MEMORY_MORE = 16  # MiB

# By then all that a partition sets off is over: a node or relay drops its connection (10 s), the relay counts the node as gone
# (10 s more), peers give up (30 s), the researcher does (60 s), and attempts to connect are at their longest distance (5 s). What
# comes later, messages that get too old after 300 s, needs no wire and is tested with a clock that is wound on.
LONG = 75
MOST_SLOWER = 5  # times, in the median
LEAST_FASTER = 5  # times: the slowest of the others against those that wait for the node that is away


def start(network):
    """All that a case of the wire needs: three nodes that know each other."""
    network.start("a", "b", "c")
    network.check_sums(network.set_up_id())


def begin_and_cut(network, cut):
    """Has a set-up begin, cuts `c` off when the others have asked it and it has not answered; the set-up under way."""
    before = {node: network.sent(node, "KeyRequest") for node in "ab"}
    os.kill(network.process("c"), signal.SIGSTOP)
    under_way = network.begin_set_up()
    asked = lambda: all(network.sent(node, "KeyRequest") == before[node] + 2 for node in "ab")  # noqa: E731
    until("a and b have asked their peers", asked)
    cut()
    os.kill(network.process("c"), signal.SIGCONT)
    return under_way


def check_fails_by_name(network, under_way):
    """The set-up ends in time, as failed, and says whose fault it was."""
    ended = network.ended(under_way, RESEARCHER_WAITS + SLACK)
    check(ended.code == FAILED, f"it ended with {ended.code}: {ended.said}")
    blamed = ended.blamed()
    check("c" in blamed, f"c is not blamed: {blamed}")
    for node in "ab":
        check(node not in blamed or "c" in blamed[node].split("FB318")[-1], f"{node} does not say who was silent: {blamed}")
    return ended


def check_works_again(network, parties="abc"):
    """From now on a set-up succeeds, soon, and the sums are right; how long that took."""
    began = time.monotonic()
    while (ended := network.set_up(parties)).code:
        took = time.monotonic() - began
        check(took < SOON, f"no set-up succeeds within {took:.1f} s after healing: {ended.said}")
        time.sleep(0.1)
    took = time.monotonic() - began
    check(took < SOON, f"the first set-up after healing took {took:.1f} s")
    network.check_sums(ended.said["secagg_id"], parties)
    return took


def fails_and_heals(network, cut, heal):
    ended = check_fails_by_name(network, begin_and_cut(network, cut))
    heal()
    took = check_works_again(network)
    return f"failed after {ended.seconds:.1f} s, works again after {took:.1f} s"


def a_node_without_network_fails_the_set_up_by_name(network):
    return fails_and_heals(
        network, lambda: network.cable("c", plugged=False), lambda: network.cable("c", plugged=True)
    )


def a_node_whose_packets_are_lost_both_ways_fails_the_set_up_by_name(network):
    return fails_and_heals(
        network,
        lambda: network.wire.disturb("c", sent=LOST, received=LOST),
        lambda: network.wire.disturb("c"),
    )


def a_node_that_hears_nothing_fails_the_set_up_by_name(network):
    return fails_and_heals(
        network, lambda: network.wire.disturb("c", received=LOST), lambda: network.wire.disturb("c")
    )


def a_node_that_is_not_heard_fails_the_set_up_by_name(network):
    return fails_and_heals(
        network, lambda: network.wire.disturb("c", sent=LOST), lambda: network.wire.disturb("c")
    )


def a_request_that_left_for_a_dead_connection_arrives_over_the_next(network):
    network.wire.disturb("c", sent=LOST, received=LOST)
    under_way = network.begin_set_up()
    until("c gives its connection up", lambda: not network.status("c")["connected"])
    network.wire.disturb("c")
    ended = network.ended(under_way)
    check(ended.code == 0, f"the request did not arrive: {ended.said}")
    network.check_sums(ended.said["secagg_id"])
    return f"after {ended.seconds:.1f} s"


def a_wire_that_carried_empty_packets_only_is_of_use_soon(network):
    took = []
    for seconds in WORST:
        network.wire.disturb("c", sent=EMPTY_ONLY, received=EMPTY_ONLY)
        under_way = network.begin_set_up()
        time.sleep(seconds)
        network.wire.disturb("c")
        took.append(check_works_again(network))
        ended = network.ended(under_way, RESEARCHER_WAITS + SLACK)
        check(ended.code in (0, FAILED), f"neither done nor failed: {ended}")
    return f"works again after {', '.join(f'{seconds:.1f}' for seconds in took)} s"


def while_a_wire_flaps_no_request_is_lost_and_nothing_grows(network):
    names = ["relay", "a", "b", "c"]
    memory = {name: network.memory(name) for name in names}
    descriptors = {name: network.descriptors(name) for name in names}
    chance, plugged = random.Random(1), True
    all_three, other_two = [], []
    began = time.monotonic()
    while time.monotonic() - began < FLAPS_FOR:
        plugged = not plugged
        network.cable("c", plugged)
        all_three.append(network.begin_set_up())
        other_two.append(network.begin_set_up("ab"))
        time.sleep(chance.uniform(1, 2))
    network.cable("c", plugged=True)
    took = check_works_again(network)

    succeeded = 0
    for under_way in all_three:
        ended = network.ended(under_way, RESEARCHER_WAITS + SLACK)
        if ended.code:
            check(ended.code == FAILED and ended.blamed(), f"neither done nor failed: {ended}")
        else:
            succeeded += 1
            network.check_sums(ended.said["secagg_id"])
    for under_way in other_two:
        ended = network.ended(under_way, RESEARCHER_WAITS + SLACK)
        check(ended.code == 0, f"a set-up without the node that flaps failed: {ended.said}")
    for name in names:
        until(
            f"{name} has as many descriptors as before: {descriptors[name]}",
            lambda name=name: network.descriptors(name) <= descriptors[name],
        )
        more = network.memory(name) - memory[name]
        check(more < MOST_MEMORY_MORE, f"{name} has {more:.0f} MiB more memory")
    return f"{succeeded} of {len(all_three)} set-ups succeeded, works again after {took:.1f} s"


def a_slow_and_lossy_wire_is_enough_for_set_ups(network):
    bad = Fault(loss=0.1, twice=0.1, delay=0.3, jitter=0.1, ahead=0.1)
    network.wire.disturb("c", sent=bad, received=bad)
    seconds = []
    for scheme in ["dh", "server-key", "dh"]:
        ended = network.set_up(scheme=scheme)
        check(ended.code == 0, f"{scheme}: {ended.said}")
        seconds.append(ended.seconds)
        if scheme == "dh":
            network.check_sums(ended.said["secagg_id"])
    counts = dict(network.wire.counts)
    network.wire.disturb("c", sent=WHOLE, received=WHOLE)
    missing = [what for what in ("lost", "twice", "late", "ahead") if not counts.get(what)]
    check(not missing, f"the wire was better than it should be: {counts}")
    return f"{', '.join(f'{took:.1f}' for took in seconds)} s; packets {counts}"


def a_node_that_is_away_for_long_delays_no_other(network):
    def two():
        ended = network.set_up("ab")
        check(ended.code == 0, f"a set-up of the others failed: {ended.said}")
        return ended.seconds

    before = statistics.median(two() for _ in range(20))
    network.wire.disturb("c", sent=LOST, received=LOST)
    began = time.monotonic()
    in_vain = network.begin_set_up()  # the others wait for c
    during, failed = [], None
    while time.monotonic() - began < LONG:
        during.append(two())
        if not failed and network.has_ended(in_vain):
            failed = check_fails_by_name(network, in_vain)
        time.sleep(0.2)
    check(failed, f"a set-up that cannot succeed has not failed after {LONG} s")
    waited = failed.seconds
    refused = network.set_up()
    check(refused.blamed() == {"c": "is not connected"}, f"after {LONG} s: {refused.said}")
    usual, slowest = statistics.median(during), max(during)
    check(usual < MOST_SLOWER * before, f"the others took {usual:.2f} s instead of {before:.2f} s")
    check(slowest * LEAST_FASTER < waited, f"one of the others took {slowest:.1f} s, in vain was waited {waited:.1f} s")
    network.wire.disturb("c")
    took = check_works_again(network)
    return f"the others took {usual:.2f} s, {slowest:.2f} s at most, before {before:.2f} s; works again after {took:.1f} s"
