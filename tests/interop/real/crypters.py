"""Fed-BioMed's own secure aggregation, with keys that others agreed on (see `commands.py`)."""

import importlib.metadata
import platform

import commands
from fedbiomed.common.secagg import SecaggCrypter, SecaggLomCrypter
from fedbiomed.common.utils import get_default_biprime

CLIPPING = 3
WEIGHT = 10


def vectors(parties):
    return {party: [0.25 * (place + 1), -1.0, 2.5] for place, party in enumerate(sorted(parties))}


def error(parties, aggregated):
    """The largest difference between the aggregate and the mean in the clear."""
    columns = zip(*vectors(parties).values())
    means = [sum(column) / len(parties) for column in columns]
    return {"max_error": max(abs(a - b) for a, b in zip(aggregated, means, strict=True))}


def lom(secagg_id, secrets):
    """One round with pair secrets: {party: {peer: hex}}."""
    crypter = SecaggLomCrypter(nonce=secagg_id)
    masked = [
        crypter.encrypt(
            current_round=1,
            node_id=party,
            params=values,
            pairwise_secrets={peer: bytes.fromhex(secret) for peer, secret in secrets[party].items()},
            node_ids=list(secrets),
            clipping_range=CLIPPING,
            weight=WEIGHT,
        )
        for party, values in vectors(secrets).items()
    ]
    total = WEIGHT * len(secrets)
    return error(secrets, crypter.aggregate(params=masked, total_sample_size=total, clipping_range=CLIPPING))


def joye_libert(keys, researcher_key):
    """One round with server keys: {party: decimal}."""
    crypter, biprime = SecaggCrypter(), get_default_biprime()
    encrypted = [
        crypter.encrypt(
            num_nodes=len(keys),
            current_round=1,
            params=values,
            key=int(keys[party]),
            biprime=biprime,
            clipping_range=CLIPPING,
            weight=WEIGHT,
        )
        for party, values in vectors(keys).items()
    ]
    aggregated = crypter.aggregate(
        current_round=1,
        num_nodes=len(keys),
        params=encrypted,
        key=int(researcher_key),
        biprime=biprime,
        total_sample_size=WEIGHT * len(keys),
        clipping_range=CLIPPING,
        num_expected_params=3,
    )
    return error(keys, aggregated)


def versions():
    """What is installed."""
    names = ["fedbiomed", "grpcio", "cryptography", "msgpack"]
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}


commands.serve("crypters", lom=lom, joye_libert=joye_libert, versions=versions)
