"""The cases, in the environment that has the client. Given the relay's and the nodes' data directories."""

import sys
import time

from backchannel_client import Node, NotRunning, Refused, Relay, RunFailed

SECONDS = 60


def main(relay, *nodes):
    passed = [case(relay, nodes) for case in (nobody, status, finishes, refuses, fails, a_node)]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return 0 if all(passed) else 1


def case(function):
    """Says how it went."""

    def said(relay, nodes):
        try:
            function(relay, nodes)
        except Exception as error:
            print(f"{function.__doc__}  failed  {type(error).__name__}: {error}")
            return False
        print(f"{function.__doc__}  passed")
        return True

    return said


def raised(kind, work):
    try:
        work()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


@case
def nobody(relay, nodes):
    """where no process runs, that is what is said"""
    with Relay(relay + "-nowhere") as nowhere:
        raised(NotRunning, nowhere.status)


@case
def status(relay, nodes):
    """the relay says who is connected"""
    began = time.monotonic()
    with Relay(relay) as running:
        while list(running.status().nodes.values()) != [True] * len(nodes):
            assert time.monotonic() - began < SECONDS, running.status()
            time.sleep(0.1)
        assert running.status().researcher_id == "RESEARCHER_python"


@case
def finishes(relay, nodes):
    """a run gives each party's result"""
    with Relay(relay) as running:
        run = running.run("common-randomness", ["a", "b", "c"], {"seconds": 30})
        drawn = {result["random"] for result in run.results.values()}
        assert len(run.results) == 3 and len(drawn) == 1, run.parties


@case
def refuses(relay, nodes):
    """what the relay cannot ask for is refused, with advice"""
    with Relay(relay) as running:
        refused = raised(Refused, lambda: running.run("common-randomness", ["a"]))
        assert "two" in refused.why and refused.advice, refused
        raised(Refused, lambda: running.run("common-randomness", ["a", "b"], quorum=3))


@case
def fails(relay, nodes):
    """a run that fails says what each party said"""
    with Relay(relay) as running:
        failed = raised(RunFailed, lambda: running.run("common-randomness", ["a", "b"], {"seconds": 0}))
        assert {party.outcome for party in failed.run.parties} == {"failed"}, failed
        assert "seconds" in str(failed) and failed.blamed == set(), failed
        missing = raised(RunFailed, lambda: running.run("common-randomness", ["a", "d"]))
        assert [party.outcome for party in missing.run.parties] == ["not asked", "not connected"], missing


@case
def a_node(relay, nodes):
    """a node says how it fares, and protects nothing without a context"""
    with Node(nodes[0]) as node:
        assert node.status().node_id == "a" and "common-randomness" in node.status().plugins
        raised(Refused, lambda: node.protect_values("secagg_none", 1, [1.0], clipping_range=3, target_range=100))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
