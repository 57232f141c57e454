"""Write one act on identity into Kafka: the record of the control topic that says who decided what, and why.

Role: the one way by which `throughline identity` acts. Must not know what an act does.

Delivery: once a call (idempotent producer). A call that failed may have written: with the same `act_id` it is safe to
repeat, for the pipeline does an act once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.codec import encode
from streams.core.control import ALIAS, MERGE, MOST_NAMED, MOST_TEXT
from streams.core.normalise import Normaliser
from streams.core.rules import Rules
from streams.importer.lag import connection
from streams.runtime.topics import CONTROL, BrokerUnavailable, connect

_REQUEST_S = 10.0

Fields = dict[str, Any]


class WrongAct(ValueError):
    """The act cannot be done; the text says what is wrong with it."""


class MissingTopic(RuntimeError):
    """There is no control topic, so nothing was written."""


@dataclass(frozen=True, slots=True)
class Written:
    """Where the record of an act lies."""

    partition: int
    offset: int


def act_of(
    kind: str, identifiers: Sequence[str], into: str | None, *, rules: Rules, **said: str | int
) -> Fields:
    """The record of an act, identifiers in the form of state and outputs; `said` are its other fields.

    Raises WrongAct, or NoIdentifier for what is no identifier.
    """
    normaliser = Normaliser(rules)
    names = list(dict.fromkeys(normaliser.typed(text) for text in identifiers))
    target = None if into is None else normaliser.typed(into)
    if (kind in (MERGE, ALIAS)) != (target is not None):
        raise WrongAct(f"{kind} needs into" if target is None else f"{kind} has no into")
    if target in names:
        raise WrongAct(f"{target} cannot be another name of itself")
    if not 1 <= len(names) <= MOST_NAMED:
        raise WrongAct(f"{len(names)} identifiers; an act names 1 to {MOST_NAMED}")
    for name in ("act_id", "by"):
        if not said[name]:
            raise WrongAct(f"{name} is empty")
    for name, text in said.items():
        if isinstance(text, str) and len(text) > MOST_TEXT:
            raise WrongAct(f"{name} is longer than {MOST_TEXT} characters")
    return {"act": kind, "identifiers": names, "into": target, **said}


def write(bootstrap_servers: str, act: Mapping[str, Any]) -> Written:
    """Write the act and return once Kafka has it. Raises BrokerUnavailable and MissingTopic."""
    from confluent_kafka import KafkaError, Message, Producer

    admin = connect(bootstrap_servers)
    if CONTROL not in admin.list_topics(timeout=_REQUEST_S).topics:
        raise MissingTopic(
            f"{bootstrap_servers} has no topic {CONTROL}; `throughline topics create` makes it"
        )
    landed: list[tuple[KafkaError | None, Message]] = []
    producer = Producer(
        {
            **connection(bootstrap_servers),
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "message.timeout.ms": int(_REQUEST_S * 1000),
        }
    )
    producer.produce(
        CONTROL,
        encode(CONTROL, act),
        key=act["into"] or act["identifiers"][0],
        on_delivery=lambda error, record: landed.append((error, record)),
    )
    producer.flush(_REQUEST_S + 1)
    if not landed or landed[0][0] is not None:
        why = landed[0][0] if landed else "no answer"
        raise BrokerUnavailable(f"{CONTROL} on {bootstrap_servers} did not take the act: {why}")
    record = landed[0][1]
    return Written(record.partition() or 0, record.offset() or 0)
