"""Fed-BioMed's secure aggregation, without a network: how long protecting and aggregating vectors takes.

Driven like the programs of `tests/interop/real` (see `commands.py` there).
"""

import secrets
import time

import commands
import numpy as np
from fedbiomed.common.constants import SAParameters
from fedbiomed.common.logger import logger
from fedbiomed.common.secagg import LOM, SecaggCrypter
from fedbiomed.common.utils import get_default_biprime

CLIPPING = 3
WEIGHT = 10  # samples per party
KEY_BITS = 2040  # of a user key, as the set-up draws it

logger.setLevel("ERROR")
random = np.random.default_rng(1)


def timed(function, *arguments, **named):
    """What a call returns, and its seconds."""
    began = time.perf_counter()
    returned = function(*arguments, **named)
    return returned, time.perf_counter() - began


def lom(values, parties, runs):
    """Seconds of each party to protect its vector, and of each run to aggregate them all."""
    names = [f"NODE_{number:02}" for number in range(parties)]
    pairs = {frozenset((a, b)): secrets.token_bytes(32) for a in names for b in names if a < b}
    mechanism = LOM(secrets.token_bytes(16))
    vectors = [random.integers(0, SAParameters.TARGET_RANGE, values).tolist() for _ in names]
    protected, took = [], []
    for name, vector in zip(names, vectors):
        own = {peer: pairs[frozenset((name, peer))] for peer in names if peer != name}
        masked, seconds = timed(mechanism.protect, name, own, 1, vector, names)
        protected.append(masked)
        took.append(seconds)
    sums, aggregating = zip(*(timed(mechanism.aggregate, protected) for _ in range(runs)))
    expected = np.sum(np.array(vectors), axis=0).tolist()
    if any(each != expected for each in sums):
        raise ValueError("the aggregate is not the sum")
    return {"protect": took, "aggregate": aggregating}


def joye_libert(values, parties, runs):
    """The same with Joye-Libert, by the crypter that an experiment uses."""
    crypter, biprime = SecaggCrypter(), get_default_biprime()
    keys = [secrets.randbits(KEY_BITS) for _ in range(parties)]
    vectors = [random.uniform(-CLIPPING, CLIPPING, values).tolist() for _ in keys]
    common = {"num_nodes": parties, "current_round": 1, "biprime": biprime, "clipping_range": CLIPPING}
    encrypted, took = zip(
        *(timed(crypter.encrypt, params=vector, key=key, weight=WEIGHT, **common) for key, vector in zip(keys, vectors))
    )
    means, aggregating = zip(
        *(
            timed(
                crypter.aggregate,
                params=list(encrypted),
                key=-sum(keys),
                total_sample_size=WEIGHT * parties,
                num_expected_params=values,
                **common,
            )
            for _ in range(runs)
        )
    )
    expected = np.mean(np.array(vectors), axis=0)
    # Values and their means are cut to one of TARGET_RANGE steps each.
    step = 2 * CLIPPING / SAParameters.TARGET_RANGE
    if any(np.abs(np.array(mean) - expected).max() > 2 * step for mean in means):
        raise ValueError("the aggregate is not the mean")
    return {"protect": took, "aggregate": aggregating}


commands.serve("secagg", lom=lom, joye_libert=joye_libert)
