"""Away from the screen: the store, its till and the loyalty desk.

A till knows a card, a phone number or an address for the receipt, never a web cart. Some upload hours later.
"""

from __future__ import annotations

from streams.simulator.options import MINUTE_MS, SECOND_MS
from streams.simulator.people import Person
from streams.simulator.recorder import Face
from streams.simulator.scene import Scene
from streams.simulator.shop import Item, Till


def visit_store(scene: Scene, person: Person, at_ms: int, *, buys: bool) -> int:
    """Walk in, perhaps buy, walk out; returns when. Who shows nothing at the till leaves no purchase."""
    till = scene.shop.tills[scene.between(0, len(scene.shop.tills))]
    phone_in_pocket = next((device for device in person.devices if device.is_app), None)
    beacon = scene.face(device_id=phone_in_pocket.device_id) if phone_in_pocket else None
    store = till.location_id.partition("/")[0]
    if beacon:
        scene.recorder.note(beacon, "store", "Store Entered", at_ms, location_id=store)
    at_ms += scene.between(4 * MINUTE_MS, 16 * MINUTE_MS)
    shown = _shown_at_till(scene, person)
    if buys and shown:
        _pay(scene, shown, till, at_ms=at_ms)
        at_ms += scene.between(10 * SECOND_MS, 40 * SECOND_MS)
        _collect_points(scene, person, at_ms)
    if beacon:
        scene.recorder.note(beacon, "store", "Store Left", at_ms + 2 * MINUTE_MS, location_id=store)
    return at_ms + 3 * MINUTE_MS


def _shown_at_till(scene: Scene, person: Person) -> Face | None:
    if person.loyalty_id:
        phone = person.phone if scene.happens(0.15) else None
        return scene.face(loyalty_id=person.loyalty_id, phone=phone)
    if person.phone and scene.happens(0.5):
        return scene.face(phone=person.phone)
    if person.email and scene.happens(0.4):
        return scene.face(email=person.email)
    return None


def _pay(scene: Scene, shown: Face, till: Till, *, at_ms: int) -> None:
    products, rnd = scene.shop.products, scene.rnd
    basket = [products[int(rnd.random() * len(products))] for _ in range(scene.between(1, 4))]
    items: list[Item] = [product.line(1, product.price_micros) for product in basket]
    scene.recorder.note(
        shown,
        "pos",
        "Order Completed",
        at_ms,
        order_id=f"t-{rnd.getrandbits(40):010x}",
        items=items,
        revenue_micros=sum(product.price_micros for product in basket),
        location_id=till.location_id,
        arrival_ms=upload_ms(till, at_ms),
    )


def upload_ms(till: Till, at_ms: int) -> int | None:
    """When a till that gathers its receipts sends them; None for one that reports at once."""
    if not till.upload_every_ms:
        return None
    return (at_ms // till.upload_every_ms + 1) * till.upload_every_ms


def _collect_points(scene: Scene, person: Person, at_ms: int) -> None:
    """The loyalty scheme knows whose card it is: this is where card and account become one."""
    if person.loyalty_id is None:
        return
    if not person.has_linked_card and scene.happens(0.6):
        person.has_linked_card = True
        owner = scene.face(loyalty_id=person.loyalty_id, email=person.email)
        scene.recorder.note(owner, "loyalty", "Loyalty Card Linked", at_ms, type_="identify")
        at_ms += SECOND_MS
    card = scene.face(loyalty_id=person.loyalty_id)
    scene.recorder.note(card, "loyalty", "Loyalty Points Earned", at_ms)
