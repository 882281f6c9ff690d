"""The cases, by the network that they run in. A case is a function whose name says what must hold; it fails by raising.

Cases of one network run in their order and share its programs, because a real node takes long to start.
"""

import json
import signal
import time
from dataclasses import dataclass

from network import READY_SECONDS, Wire

MOST_LOM_ERROR = 2e-3  # Fed-BioMed quantises to 16 bits within a clipping range of 3
SLACK_SECONDS = 5  # what a busy machine may add to anything
MOST_SECONDS_TO_MEET_AGAIN = 5  # a set-up takes 0.1 s; without noticing the loss it fails after 30 s

REAL_NODES_WAIT_SECONDS = 31  # for a peer that was killed, and a little

NOISE = 1000  # forged messages
UNREACHABLE = 4  # the exit code for what cannot be reached
REFUSED = 5  # and for what must not be trusted


@dataclass(frozen=True)
class Group:
    """A network and the cases that run in it."""

    name: str
    start: callable
    cases: list


def check(holds, otherwise):
    """Fails the case unless `holds`."""
    if not holds:
        raise AssertionError(otherwise)


# A real network with one of our nodes.


def start_joined(network):
    network.parties = ["real-a", "real-b", "ours-c"]
    network.set_ups = []
    network.real_researcher()
    network.real_node("real-a")
    network.real_node("real-b")
    network.ready()
    network.our_node("ours-c")
    network.ready("ours-c")
    researcher(network).ask("connected", parties=network.parties, within=60)


def researcher(network):
    return network.running["researcher"]


def set_up(network, scheme, parties=None):
    """A set-up asked for by the real researcher, remembered for the comparison of all secrets."""
    answer = researcher(network).ask("set_up", scheme=scheme, parties=parties or network.parties)
    network.set_ups.append({"scheme": scheme, "parties": parties or network.parties, **answer})
    return answer


def a_ping_reaches_every_party(network):
    replies = send(network, "PingRequest", network.parties)
    for party in network.parties:
        check(replies[party]["class"] == "PingReply", f"{party}: {replies[party]}")
        check(replies[party]["node_id"] == party, f"{party} answered as {replies[party]['node_id']}")


def three_diffie_hellman_set_ups_succeed(network):
    for _ in range(3):
        set_up(network, "dh")


def three_server_key_set_ups_succeed(network):
    for _ in range(3):
        set_up(network, "server-key")


def every_request_is_answered(network):
    """What a node without data sets may be asked, and what must come back. A silent node would block the researcher."""
    training = {
        **{"training_args": {}, "training": True, "model_args": {}, "params": {}, "aggregator_args": {}},
        **{"training_plan_class": "Plan", "state_id": None, "round": 1},
    }
    preprocessing = {"preproc_type": 1, "preproc_step": 1, "preproc_id": "p", "preproc_args": {}}
    plan = {"training_plan": "class Plan: pass"}
    experiment = {"experiment_id": "e"}
    run = {"secagg_id": "secagg_of_nobody", **experiment}
    alone = {**run, "parties": ["ours-c"]}
    expected = [
        ("PingRequest", {}, "PingReply", None),
        ("SearchRequest", {"tags": ["any"]}, "SearchReply", None),
        ("ListRequest", {}, "ListReply", None),
        ("SecaggDeleteRequest", {**run, "element": 0}, "ErrorMessage", "FB321"),
        ("SecaggDeleteRequest", {**run, "element": 1}, "ErrorMessage", "FB321"),
        ("SecaggRequest", {**alone, "element": 1}, "ErrorMessage", "FB318"),
        ("AdditiveSSSetupRequest", {**alone, "element": 0}, "ErrorMessage", "FB318"),
        ("TrainingPlanStatusRequest", {**experiment, **plan}, "ErrorMessage", "FB301"),
        ("ApprovalRequest", {"description": "d", **plan}, "ErrorMessage", "FB301"),
        (
            "TrainRequest",
            {**experiment, "dataset_id": "d", **plan, **training},
            "ErrorMessage",
            "FB301",
        ),
        ("FARequest", {**experiment, "dataset_id": "d", "fa_id": "f"}, "ErrorMessage", "FB301"),
        (
            "PreprocRequest",
            {**experiment, "dataset_id": "d", **preprocessing},
            "ErrorMessage",
            "FB301",
        ),
        ("UnheardOfRequest", {}, "ErrorMessage", "FB301"),
    ]
    for kind, fields, reply_class, code in expected:
        replies = send(network, kind, ["ours-c"], **fields)
        check("ours-c" in replies, f"{kind}: no answer")
        reply = replies["ours-c"]
        check((reply["class"], reply.get("errnum")) == (reply_class, code), f"{kind}: {reply}")
        check(reply["node_id"] == reply["node_name"] == "ours-c", f"{kind}: {reply}")
        if reply_class in ("SearchReply", "ListReply"):
            check((reply["databases"], reply["count"]) == ([], 0), f"{kind}: {reply}")


def send(network, kind, nodes, **fields):
    return researcher(network).ask("send", kind=kind, fields=fields, nodes=nodes, within=SLACK_SECONDS)["replies"]


def what_was_set_up_can_be_deleted(network):
    for scheme in ("dh", "server-key"):
        deleted = researcher(network).ask("set_up_and_delete", scheme=scheme, parties=network.parties)
        replies = send(
            network,
            "SecaggDeleteRequest",
            ["ours-c"],
            secagg_id=deleted["secagg_id"],
            experiment_id=deleted["experiment_id"],
            element={"server-key": 0, "dh": 1}[scheme],
        )
        check(replies["ours-c"].get("errnum") == "FB321", f"deleted twice: {replies}")


def noise_in_a_peers_name_disturbs_no_set_up(network):
    forger = stranger(network)
    send(network, "PingRequest", ["stranger"])
    forger.ask("meet", within=30)
    before, began = our_counts(network), time.monotonic()
    forger.ask("forge", source="real-a", dest="ours-c", count=NOISE)
    took = set_up(network, "dh")["seconds"]
    until = time.monotonic() + 30
    while (now := our_counts(network))["noise"] < before["noise"] + NOISE:
        check(time.monotonic() < until, f"{now['noise'] - before['noise']} of {NOISE} messages were dropped")
        time.sleep(0.2)
    came = time.monotonic() - began
    # Fed-BioMed's server hands us one message for each poll, in order: on a busy machine the set-up's wait there behind noise for
    # seconds, which is not our doing. It must not wait longer than the noise takes to come.
    check(took < max(SLACK_SECONDS, came), f"the set-up took {took:.1f} s, the noise {came:.1f} s")
    asked = now["asked"] - before["asked"]
    # When a peer seems to have a new key it is asked, at most once in 2 s.
    check(asked <= 1 + (time.monotonic() - began) / 2, f"{asked} requests for keys")
    network.stop("stranger")
    return f"set up in {took:.2f} s, {asked} requests for the peer's key; the noise came in {came:.1f} s"


def our_counts(network):
    status = network.command("status", "--data", "ours-c-data")
    asked = status["sent"].get("ChannelSetupRequest", 0)
    return {"asked": asked, "noise": status["dropped"].get("cannot be opened", 0)}


def a_researcher_that_restarts_finds_us_again(network):
    network.stop("researcher", signal.SIGKILL)
    network.real_researcher()
    network.ready("researcher")
    began = time.monotonic()
    researcher(network).ask("connected", parties=["ours-c"], within=30)
    check(time.monotonic() - began < SLACK_SECONDS, "we were slow to come back")
    researcher(network).ask("connected", parties=network.parties, within=30)
    set_up(network, "dh")


def a_real_node_that_restarts_finds_us_again(network):
    network.stop("real-b", signal.SIGKILL)
    network.real_node("real-b")
    network.ready("real-b")
    researcher(network).ask("connected", parties=network.parties, within=30)
    set_up(network, "dh", ["real-b", "ours-c"])


def a_real_node_that_lost_its_keys_is_met_again_at_once(network):
    network.stop("real-b", signal.SIGKILL)
    network.forget("real-b")
    network.set_ups = [each for each in network.set_ups if "real-b" not in each["parties"]]
    network.real_node("real-b")
    network.ready("real-b")
    researcher(network).ask("connected", parties=network.parties, within=30)
    took = set_up(network, "dh", ["real-b", "ours-c"])["seconds"]
    check(took < MOST_SECONDS_TO_MEET_AGAIN, f"it took {took:.1f} s")
    set_up(network, "server-key", ["real-b", "ours-c"])
    return f"first set-up after the loss {took:.2f} s"


# Our node is killed at a step of a set-up: as soon as it says that it is there, and while something that it waits for
# keeps it there. The researcher must hear of it when the node runs again, long before its own 60 s are over.


def our_node_killed_asking_a_peer_for_its_channel_key_says_so(network):
    stranger(network)
    network.our_node("ours-d")
    network.ready("ours-d")
    researcher(network).ask("connected", parties=["ours-d"], within=30)
    network.pause("stranger")
    asked = lambda: sent(network, "ours-d", "ChannelSetupRequest") > 0  # noqa: E731
    note = killed(network, "ours-d", "dh", ["ours-d", "stranger"], asked)
    network.resume("stranger")
    network.stop("ours-d")
    return note


def our_node_killed_between_its_last_step_and_its_reply_says_so(network):
    peer = stranger(network)
    wire = Wire(network.port)
    network.stop("ours-c")
    network.our_node("ours-c", wire.port)
    network.ready("ours-c")
    researcher(network).ask("connected", parties=["ours-c"], within=30)
    send(network, "PingRequest", ["stranger"])
    peer.ask("meet", within=30)
    peer.ask("ask_in_vain", peer="ours-c")
    until = time.monotonic() + 30
    while not network.command("status", "--data", "ours-c-data")["received"].get("KeyRequest"):
        check(time.monotonic() < until, "no channel")
        time.sleep(0.05)
    run, published = "secagg_of_the_last_step", []
    before = peer.ask("overlays_from", node="ours-c")["count"]

    def stored():
        # The peer has the node's request, and the node polls: the answer reaches it, its own does not leave.
        if not published and peer.ask("overlays_from", node="ours-c")["count"] > before:
            wire.hold()
            published.append(peer.ask("publish_key", run=run))
        contexts = network.command("status", "--data", "ours-c-data")["contexts"]
        return any(context["secagg_id"] == run for context in contexts)

    note = killed(network, "ours-c", "dh", ["ours-c", "stranger"], stored, run)
    wire.close()
    return note


def our_node_killed_waiting_for_shares_says_so(network):
    stranger(network)
    before = sent(network, "ours-c", "AdditiveSSharingRequest")
    asked = lambda: sent(network, "ours-c", "AdditiveSSharingRequest") > before  # noqa: E731
    note = killed(network, "ours-c", "server-key", ["ours-c", "stranger"], asked)
    # Its only thread for messages waits 30 s for what it was asked for, and treats nothing else.
    network.stop("stranger")
    return note


def our_node_killed_waiting_for_keys_of_the_run_says_so(network):
    network.pause("real-b")
    before = sent(network, "ours-c", "KeyRequest")
    note = killed(
        network, "ours-c", "dh", network.parties, lambda: sent(network, "ours-c", "KeyRequest") == before + 2
    )
    network.resume("real-b")
    return note


def stranger(network):
    """A real node-to-node stack that treats no researcher's request: it keeps nobody waiting afterwards."""
    if "stranger" not in network.running:
        network.real_peer("stranger")
        network.ready("stranger")
        researcher(network).ask("connected", parties=["stranger"], within=30)
    return network.running["stranger"]


def sent(network, name, kind):
    return network.command("status", "--data", f"{name}-data")["sent"].get(kind, 0)


def killed(network, name, scheme, parties, at_the_step, secagg_id=None):
    """Kills our node at a step of a set-up, starts it again, and sees that the researcher is told, and by whom."""
    researcher(network).begin("set_up", scheme=scheme, parties=parties, secagg_id=secagg_id)
    until = time.monotonic() + 30
    while not at_the_step():
        check(time.monotonic() < until, "our node did not come to that step")
        time.sleep(0.01)
    network.stop(name, signal.SIGKILL)
    network.our_node(name)
    network.ready(name)
    began = time.monotonic()
    first = researcher(network).answer(70)
    took = time.monotonic() - began
    check("FB318" in first.get("failed", "") and "started again" in first["failed"], f"{first}")
    check(took < SLACK_SECONDS, f"the researcher heard of it after {took:.1f} s")
    return f"the researcher heard of it {took:.1f} s after the new start"


def after_the_kills_a_set_up_succeeds(network):
    # Until the real nodes of the last one have given up: they do nothing else meanwhile.
    time.sleep(REAL_NODES_WAIT_SECONDS)
    researcher(network).ask("connected", parties=network.parties, within=30)
    set_up(network, "dh")
    set_up(network, "server-key")


def a_researcher_with_another_certificate_is_refused(network):
    network.stop("researcher", signal.SIGKILL)
    network.forget("researcher")
    network.real_researcher()
    network.ready("researcher")
    until = time.monotonic() + SLACK_SECONDS
    while "shows the certificate" not in (status := network.command("status", "--data", "ours-c-data"))["connection"]:
        check(time.monotonic() < until, f"{status}")
        time.sleep(0.2)
    check(not status["connected"], f"{status}")
    network.stop("ours-c")
    again = network.our_node("ours-c")
    code = again.process.wait(READY_SECONDS)
    check(code == REFUSED, f"started anew it ended with {code}")
    network.stop("ours-c")


def it_is_trusted_by_its_fingerprint_and_no_other(network):
    settings = network.settings_of_our_node("ours-c")
    code, out, _ = network.ended(network.begin("trust", "00" * 32, *settings))
    check(code == REFUSED, f"another fingerprint: {code} {out}")
    network.command("trust", network.fingerprint_of_the_researcher(), *settings)
    network.our_node("ours-c")
    network.ready("ours-c")
    researcher(network).ask("connected", parties=["ours-c"], within=30)
    replies = send(network, "PingRequest", ["ours-c"])
    check(replies["ours-c"]["class"] == "PingReply", f"{replies}")


def all_parties_hold_secrets_that_fit(network):
    """From every party's own store."""
    network.stop("ours-c")
    ours = {"ours-c": network.contexts_of_our_node("ours-c")}
    network.our_node("ours-c")
    network.ready("ours-c")
    compare(network, ours, ["real-a", "real-b"])
    researcher(network).ask("connected", parties=["ours-c"], within=30)


def after_all_that_secrets_still_fit(network):
    all_parties_hold_secrets_that_fit(network)


def compare(network, ours, real):
    """Pair secrets equal at both ends, server keys sum to zero with the researcher's, and both give the right sum."""
    held = {**ours, **{name: network.contexts_of_real_node(name) for name in real}}
    check(network.set_ups, "nothing was set up")
    for each in network.set_ups:
        secagg_id, parties = each["secagg_id"], each["parties"]
        secrets = {party: held[party][secagg_id] for party in parties}
        if each["scheme"] == "dh":
            for party in parties:
                check(set(secrets[party]) == set(parties) - {party}, f"{party} has secrets with {set(secrets[party])}")
                for peer in secrets[party]:
                    check(secrets[party][peer] == secrets[peer][party], f"{party} and {peer} differ in {secagg_id}")
            result = network.crypters.ask("lom", secagg_id=secagg_id, secrets=secrets)
        else:
            total = sum(map(int, secrets.values())) + int(each["researcher_key"])
            check(total == 0, f"the keys of {secagg_id} sum to {total}")
            result = network.crypters.ask("joye_libert", keys=secrets, researcher_key=each["researcher_key"])
        check(result["max_error"] < MOST_LOM_ERROR, f"{each['scheme']}: the sum is off by {result['max_error']}")


# Our relay between two real node-to-node stacks.


def start_relayed(network):
    network.our_relay()
    network.ready()
    network.real_peer("real-a")
    network.real_peer("real-b")
    network.ready("real-a", "real-b")
    for name in ("real-a", "real-b"):
        network.running[name].ask("meet", within=30)


def relayed(length, in_flight, count):
    """Real nodes ask each other through our relay, in both directions."""

    def case(network):
        worst = []
        for asker, answerer in (("real-a", "real-b"), ("real-b", "real-a")):
            run = f"{asker} {length} {in_flight}"
            network.running[answerer].ask("publish", run=run, length=length)
            took = network.running[asker].ask(
                "ask", seconds=120, peer=answerer, run=run, length=length, in_flight=in_flight, count=count
            )
            worst.append(f"median {took['median_ms']:.0f} ms, {took['per_second']:.0f}/s")
        return "; ".join(worst)

    size = f"{length // 1024}_KiB" if length >= 1024 else f"{length}_B"
    case.__name__ = f"our_relay_carries_{count}_requests_with_{size}_replies_{in_flight}_in_flight"
    return case


# Our relay, real nodes and one of ours.


def start_mixed(network):
    network.parties = ["real-a", "real-b", "ours-c"]
    network.set_ups = []
    network.our_relay()
    network.ready()
    network.real_node("real-a")
    network.real_node("real-b")
    network.our_node("ours-c")
    network.ready("real-a", "real-b", "ours-c")
    wait_until_connected(network)


def wait_until_connected(network):
    until = time.monotonic() + 30
    while True:
        status = network.command("status", "--data", "relay")
        connected = {node["id"] for node in status["nodes"] if node["connected"]}
        if connected >= set(network.parties):
            return
        check(time.monotonic() < until, f"connected after 30 s: {sorted(connected)}")
        time.sleep(0.2)


def our_set_up(network, scheme):
    parties = ",".join(network.parties)
    done = network.command("secagg", "setup", "--relay", "relay", "--scheme", scheme, "--parties", parties)
    check(done["ok"], f"{done}")
    each = {"scheme": scheme, "parties": network.parties, "secagg_id": done["secagg_id"]}
    if scheme == "server-key":
        each["researcher_key"] = network.researcher_key_of_our_relay(done["secagg_id"])
    network.set_ups.append(each)


def our_relay_sets_up_diffie_hellman(network):
    our_set_up(network, "dh")


def our_relay_sets_up_server_keys(network):
    our_set_up(network, "server-key")


def our_relay_deletes_a_set_up(network):
    our_set_up(network, "dh")
    gone = network.set_ups.pop()["secagg_id"]
    parties = ",".join(network.parties)
    done = network.command("secagg", "delete", "--relay", "relay", "--id", gone, "--parties", parties)
    check(done["ok"], f"{done}")
    for name in ("real-a", "real-b"):
        check(gone not in network.contexts_of_real_node(name), f"{name} still has {gone}")


def a_relay_that_was_down_for_30_s_is_found_again(network):
    # One party is held, so that the set-up is under way when its relay goes.
    network.pause("real-a")
    before = sent(network, "ours-c", "KeyRequest")
    parties = ",".join(network.parties)
    under_way = network.begin("secagg", "setup", "--relay", "relay", "--scheme", "dh", "--parties", parties)
    until = time.monotonic() + 30
    while sent(network, "ours-c", "KeyRequest") < before + 2:
        check(time.monotonic() < until, "our node does not ask its peers")
        time.sleep(0.05)
    network.stop("relay")
    network.resume("real-a")
    code, out, _ = network.ended(under_way)
    check(code == UNREACHABLE and json.loads(out)["error"]["why"], f"the set-up under way ended with {code}: {out}")
    time.sleep(30)
    network.our_relay()
    network.ready("relay")
    began = time.monotonic()
    wait_until_connected(network)
    took = time.monotonic() - began
    our_set_up(network, "dh")
    return f"all parties were back after {took:.1f} s"


def parties_of_our_relay_hold_secrets_that_fit(network):
    network.stop("ours-c")
    compare(network, {"ours-c": network.contexts_of_our_node("ours-c")}, ["real-a", "real-b"])


# Two of our nodes that know each other, in a real network.


def start_secure(network):
    network.parties = ["real-a", "ours-c", "ours-d"]
    network.set_ups = []
    introduce(network, "ours-c", "ours-d")
    network.real_researcher()
    network.real_node("real-a")
    network.ready()
    for name in ("ours-c", "ours-d"):
        network.our_node(name)
    network.ready("ours-c", "ours-d")
    researcher(network).ask("connected", parties=network.parties, within=60)


def introduce(network, *names):
    """Pins each of our nodes in the others, before they start."""
    fingerprints = {}
    for name in names:
        exported = network.command("identity", "export", "--data", f"{name}-data", "--id", name, "--to", f"{name}.toml")
        fingerprints[name] = exported["fingerprint"]
    for name in names:
        for other in set(names) - {name}:
            file, fingerprint = f"{other}.toml", fingerprints[other]
            network.command("peer", "pin", other, file, "--fingerprint", fingerprint, "--data", f"{name}-data")


def an_unmodified_researcher_carries_suite_2(network):
    an_unmodified_researcher_carries(2, network)


def an_unmodified_researcher_carries(suite, network):
    for scheme in ("dh", "server-key"):
        set_up(network, scheme)
    for name, other in (("ours-c", "ours-d"), ("ours-d", "ours-c")):
        status = network.command("status", "--data", f"{name}-data")
        suites = {channel["peer"]: channel["suite"] for channel in status["channels"]}
        check(suites == {"real-a": 1, other: suite}, f"{name} talks in {suites}")


def it_carries_suite_3_once_both_offer_it(network):
    for name in ("ours-c", "ours-d"):
        network.stop(name)
        policy = network.folder / f"{name}-data" / "policy.toml"
        policy.write_text(policy.read_text() + 'suite-3 = "any"\n')
        network.our_node(name)
    network.ready("ours-c", "ours-d")
    researcher(network).ask("connected", parties=network.parties, within=60)
    an_unmodified_researcher_carries(3, network)


def secrets_made_in_all_suites_fit(network):
    ours = ["ours-c", "ours-d"]
    for name in ours:
        network.stop(name)
    compare(network, {name: network.contexts_of_our_node(name) for name in ours}, ["real-a"])


# Ten parties.


def start_ten(network):
    network.real = [f"real-{letter}" for letter in "abcde"]
    network.ours = [f"ours-{letter}" for letter in "fghij"]
    network.parties = network.real + network.ours
    network.set_ups = []
    network.real_researcher()
    for name in network.real:
        network.real_node(name)
    network.ready()
    for name in network.ours:
        network.our_node(name)
    network.ready(*network.ours)
    researcher(network).ask("connected", parties=network.parties, within=60)


def ten_parties_agree_on_pair_secrets(network):
    set_up(network, "dh")


def ten_parties_agree_on_server_keys(network):
    set_up(network, "server-key")


def ten_parties_hold_secrets_that_fit(network):
    for name in network.ours:
        network.stop(name)
    compare(network, {name: network.contexts_of_our_node(name) for name in network.ours}, network.real)


GROUPS = [
    Group(
        "joined",
        start_joined,
        [
            a_ping_reaches_every_party,
            three_diffie_hellman_set_ups_succeed,
            three_server_key_set_ups_succeed,
            all_parties_hold_secrets_that_fit,
            every_request_is_answered,
            what_was_set_up_can_be_deleted,
            noise_in_a_peers_name_disturbs_no_set_up,
            a_researcher_that_restarts_finds_us_again,
            a_real_node_that_restarts_finds_us_again,
            our_node_killed_asking_a_peer_for_its_channel_key_says_so,
            our_node_killed_between_its_last_step_and_its_reply_says_so,
            our_node_killed_waiting_for_shares_says_so,
            our_node_killed_waiting_for_keys_of_the_run_says_so,
            after_the_kills_a_set_up_succeeds,
            # Last of those with set-ups: the two real nodes do not find each other again.
            a_real_node_that_lost_its_keys_is_met_again_at_once,
            after_all_that_secrets_still_fit,
            a_researcher_with_another_certificate_is_refused,
            it_is_trusted_by_its_fingerprint_and_no_other,
        ],
    ),
    Group(
        "relayed",
        start_relayed,
        [
            relayed(512, 1, 50),
            relayed(512, 32, 200),
            relayed(64 * 1024, 32, 100),
            relayed(1024 * 1024, 1, 10),
            relayed(1024 * 1024, 32, 64),
        ],
    ),
    Group(
        "secure",
        start_secure,
        [
            an_unmodified_researcher_carries_suite_2,
            it_carries_suite_3_once_both_offer_it,
            secrets_made_in_all_suites_fit,
        ],
    ),
    Group(
        "mixed",
        start_mixed,
        [
            our_relay_sets_up_diffie_hellman,
            our_relay_sets_up_server_keys,
            our_relay_deletes_a_set_up,
            a_relay_that_was_down_for_30_s_is_found_again,
            parties_of_our_relay_hold_secrets_that_fit,
        ],
    ),
    Group(
        "ten",
        start_ten,
        [
            ten_parties_agree_on_pair_secrets,
            ten_parties_agree_on_server_keys,
            ten_parties_hold_secrets_that_fit,
        ],
    ),
]
