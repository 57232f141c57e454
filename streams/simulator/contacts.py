"""Between people and the brand, neither visit nor purchase: mail, SMS, push, calls, surveys, adverts.

Each function writes one contact, and some return when somebody clicked; what follows is not decided here.
"""

from __future__ import annotations

from streams.simulator.options import HOUR_MS, MINUTE_MS, SECOND_MS
from streams.simulator.people import Device, Person
from streams.simulator.scene import Scene
from streams.simulator.shop import Campaign

_SCORES = tuple({"score": str(score), "kind": "nps"} for score in range(11))


def send_mail(scene: Scene, person: Person, at_ms: int, *, campaign: Campaign | None) -> int | None:
    """Sent, perhaps opened, perhaps clicked; returns when it was clicked."""
    if person.email is None:
        return None
    face = scene.face(email=person.email)
    note = scene.recorder.note
    note(face, "email", "Email Sent", at_ms, campaign=campaign)
    if not scene.happens(0.4):
        return None
    at_ms += scene.between(MINUTE_MS, 5 * HOUR_MS)
    note(face, "email", "Email Opened", at_ms, campaign=campaign)
    if campaign is None or not scene.happens(0.3):
        return None
    at_ms += scene.between(3 * SECOND_MS, 60 * SECOND_MS)
    note(face, "email", "Email Link Clicked", at_ms, campaign=campaign)
    return at_ms + SECOND_MS


def send_sms(scene: Scene, person: Person, at_ms: int, *, campaign: Campaign) -> int | None:
    """Sent, perhaps clicked; returns when it was clicked."""
    if person.phone is None:
        return None
    face = scene.face(phone=person.phone)
    scene.recorder.note(face, "sms", "SMS Sent", at_ms, campaign=campaign)
    if not scene.happens(0.15):
        return None
    at_ms += scene.between(MINUTE_MS, HOUR_MS)
    scene.recorder.note(face, "sms", "SMS Link Clicked", at_ms, campaign=campaign)
    return at_ms + SECOND_MS


def push(scene: Scene, device: Device, at_ms: int) -> int | None:
    """A notification on a phone; returns when it was tapped."""
    face = scene.face(device_id=device.device_id)
    scene.recorder.note(face, "push", "Push Notification Received", at_ms)
    if not scene.happens(0.2):
        return None
    at_ms += scene.between(5 * SECOND_MS, 20 * MINUTE_MS)
    scene.recorder.note(face, "push", "Push Notification Tapped", at_ms)
    return at_ms + SECOND_MS


def call_support(scene: Scene, person: Person, at_ms: int) -> None:
    """By phone where there is a number, else a ticket by mail; some calls tell the agent the address too."""
    if person.phone is not None:
        face = scene.face(email=person.email if scene.happens(0.3) else None, phone=person.phone)
        events = ("Support Call Started", "Support Call Ended")
    elif person.email is not None:
        face = scene.face(email=person.email)
        events = ("Ticket Opened", "Ticket Solved")
    else:
        return
    for event in events:
        scene.recorder.note(face, "support", event, at_ms)
        at_ms += scene.between(2 * MINUTE_MS, 40 * MINUTE_MS)


def survey(scene: Scene, person: Person, at_ms: int) -> None:
    """How likely are you to recommend us?"""
    if person.email is not None:
        score = _SCORES[scene.between(0, len(_SCORES))]
        face = scene.face(email=person.email)
        scene.recorder.note(face, "survey", "Survey Answered", at_ms, properties=score)


def see_advert(scene: Scene, device: Device, at_ms: int, *, campaign: Campaign) -> int:
    """An advert clicked in the browser that is about to visit; returns when the visit begins."""
    face = scene.face(device_id=device.device_id, anonymous_id=device.anonymous_id)
    scene.recorder.note(face, "ads", "Advert Clicked", at_ms, campaign=campaign)
    return at_ms + scene.between(SECOND_MS, 4 * SECOND_MS)


def talk_about_us(scene: Scene, person: Person, at_ms: int) -> None:
    """A post that mentions the shop, from an account known by its address."""
    if person.email is not None:
        scene.recorder.note(scene.face(email=person.email), "social", "Brand Mentioned", at_ms)


def ask_speaker(scene: Scene, person: Person, at_ms: int) -> None:
    """A smart speaker that is signed in asks where the order is."""
    if person.user_id is not None:
        face = scene.face(user_id=person.user_id)
        scene.recorder.note(face, "voice", "Order Status Requested", at_ms)


def follow_order(scene: Scene, person: Person, at_ms: int, *, order_id: str) -> None:
    """What the order system says of an order on its way; it knows the account, or the guest's address."""
    owner = {"user_id": person.user_id} if person.user_id else {"email": person.email}
    if not any(owner.values()):
        return
    face = scene.face(**owner)
    for event in ("Order Confirmed", "Order Packed", "Order Shipped"):
        scene.recorder.note(face, "orders", event, at_ms, order_id=order_id)
        at_ms += scene.between(HOUR_MS, 5 * HOUR_MS)
