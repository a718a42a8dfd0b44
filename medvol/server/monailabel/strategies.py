# SPDX-License-Identifier: Apache-2.0
"""`/activelearning/{strategy}`: which image should be labelled next."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body

from ..jobs import DONE
from ..refusals import Missing
from ..service import Service
from .store import FINAL, Entry, Store

HELD_S = 3600.0  # for which an image that somebody was given is not given to others
Scores = Mapping[str, float]  # id of an image in the datastore to its undecided share, if known
Params = Annotated[dict[str, Any] | None, Body()]
Choose = Callable[[Sequence[str], Scores], str]


def by_chance(ids: Sequence[str], _scores: Scores) -> str:
    """Any of the images."""
    return random.choice(ids)


def in_order(ids: Sequence[str], _scores: Scores) -> str:
    """The image that came first."""
    return ids[0]


def most_undecided(ids: Sequence[str], scores: Scores) -> str:
    """The image of which the network is least sure; then those that it has not seen, then others.

    Example:
        >>> most_undecided(["a", "b", "c"], {"a": 0.0, "c": 0.4})
        'c'
        >>> most_undecided(["a", "b"], {"a": 0.0})
        'b'
    """
    return min(ids, key=lambda id_: (-scores.get(id_, 0.0), id_ in scores))


STRATEGIES: Mapping[str, tuple[Choose, str]] = {
    "undecided": (most_undecided, "first where the network is least sure"),
    "first": (in_order, "in the order in which the images came"),
    "random": (by_chance, "any image without a label"),
}


def router(service: Service, store: Store) -> APIRouter:
    """The route.

    Args:
        service: whose answers say how sure a network was.
        store: of the images.
    """
    routes = APIRouter(prefix="/activelearning", tags=["MONAI Label"])

    @routes.post("/{strategy}")
    def sample(strategy: str, params: Params = None) -> dict[str, Any]:
        """The image without a final label to be looked at next; nothing where all have one."""
        if strategy not in STRATEGIES:
            raise Missing("strategy")
        choose, _ = STRATEGIES[strategy]
        entries = {
            x: y for x, y in store.entries().items()
            if FINAL not in y["labels"] and has_labels(service, store, x)
        }  # fmt: skip
        client = str((params or {}).get("client_id") or "")
        ids = free_of(entries, client, now=time.time())
        if not ids:
            return {}
        id_ = choose(ids, undecided_shares(service, entries))
        entry = entries[id_]
        said = entry["info"].get("strategy")
        given = {"ts": int(time.time()), "client_id": client}
        before = said if isinstance(said, dict) else {}
        store.say(id_, {"strategy": {**before, strategy: given}})
        return {**entry["info"], **described(store, id_, entry)}

    return routes


def info() -> dict[str, Any]:
    """The strategies as `/info/` lists them."""
    return {name: {"description": said, "config": {}} for name, (_, said) in STRATEGIES.items()}


def has_labels(service: Service, store: Store, id_: str) -> bool:
    """Whether an image may be one that a bundle with labels takes.

    Args:
        service: that has the bundles.
        store: of the images.
        id_: of the image.
    """
    return any(len(service.bundles[x].labels) for x in service.suited(store.image(id_)))


def described(store: Store, id_: str, entry: Entry) -> dict[str, Any]:
    """An image as a viewer fetches it from `/datastore/image`: its id, name and checksum.

    Args:
        store: that has it.
        id_: of the image.
        entry: the same in the store.
    """
    stored = store.image(id_)
    is_one_file = stored.path.is_file() and not stored.series
    checksum = {"checksum": f"SHA256:{entry['sha256']}"} if is_one_file and entry["sha256"] else {}
    name = stored.name if is_one_file else f"{stored.id}.nrrd"
    return {"id": id_, "name": name, **checksum}


def free_of(entries: Mapping[str, Entry], client: str, *, now: float) -> list[str]:
    """Ids of images that nobody else is at, or of all where somebody is at each.

    Args:
        entries: id to image without a label.
        client: who asks.
        now: seconds since 1970.
    """

    def is_held(entry: Entry) -> bool:
        said = entry["info"].get("strategy")
        rows = [x for x in said.values() if isinstance(x, dict)] if isinstance(said, dict) else []
        others = [x.get("ts") for x in rows if x.get("client_id") != client]
        return any(isinstance(ts, int | float) and now - ts < HELD_S for ts in others)

    return [id_ for id_, entry in entries.items() if not is_held(entry)] or [*entries]


def undecided_shares(service: Service, entries: Mapping[str, Entry]) -> dict[str, float]:
    """Of the images that a bundle answered to: the undecided share of what it marked, 0 to 1.

    It is 0 where the bundle does not say it.

    Args:
        service: that has the answers.
        entries: id to image.
    """
    of_image: dict[str, float] = {}
    for job in service.jobs.all():
        if job.state == DONE:
            share = float(job.found.get("undecided", 0.0))
            of_image[job.image] = max(of_image.get(job.image, 0.0), share)
    return {x: of_image[y["image"]] for x, y in entries.items() if y["image"] in of_image}
