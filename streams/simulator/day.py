"""A household's day: who does what when, and what follows from it. Bots have days too.

Puts visits, stores and contacts in an order; how each goes is theirs.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime

from streams.simulator import contacts, town
from streams.simulator.options import HOUR_MS, MINUTE_MS, SECOND_MS
from streams.simulator.people import Device, Person
from streams.simulator.scene import Act, Scene
from streams.simulator.shop import Campaign
from streams.simulator.visit import Outcome, Visit

#: How busy each hour of the day is, from midnight.
_BUSY = (
    *(0.15, 0.1, 0.06, 0.05, 0.06, 0.12),
    *(0.3, 0.5, 0.65, 0.75, 0.8, 0.85),
    *(0.95, 0.85, 0.8, 0.8, 0.85, 0.9),
    *(1.0, 1.0, 1.0, 0.9, 0.6, 0.3),
)


def some_moment(rnd: random.Random, first_ms: int, end_ms: int) -> int:
    """A moment between the two at which people are about."""
    for _ in range(20):
        at_ms = first_ms + int(rnd.random() * (end_ms - first_ms))
        if rnd.random() < _BUSY[datetime.fromtimestamp(at_ms // 1_000, UTC).hour]:
            break
    return at_ms


class Day:
    """The day of one household; `live` writes it into the scene's recorder."""

    def __init__(self, scene: Scene, members: Sequence[Person]) -> None:
        self._scene = scene
        self._members = members
        self._end_ms = scene.end_ms

    def live(self, start_ms: int) -> None:
        """Nothing happens before `start_ms`, when the first member wakes up."""
        for number, person in enumerate(self._members):
            wakes_ms = start_ms if number == 0 else some_moment(self._scene.rnd, start_ms, self._end_ms)
            self._plan(person, wakes_ms)
        self._scene.agenda.run(self._end_ms)

    def _plan(self, person: Person, wakes_ms: int) -> None:
        scene, agenda = self._scene, self._scene.agenda
        days = (self._end_ms - wakes_ms) / (24 * HOUR_MS)
        agenda.at(wakes_ms, lambda at_ms: self._visit(person, at_ms))
        for _ in range(int(scene.rnd.expovariate(1.0) * person.visits_a_day * days + 0.5)):
            agenda.at(self._some_moment(wakes_ms), lambda at_ms: self._visit(person, at_ms))
        if scene.happens(0.2 * days):
            agenda.at(self._some_moment(wakes_ms), lambda at_ms: self._go_to_store(person, at_ms, 0.7))
        if person.reads_mail and scene.happens(1.2 * days):
            agenda.at(self._some_moment(wakes_ms), lambda at_ms: self._get_newsletter(person, at_ms))
        if person.reads_sms and scene.happens(0.5 * days):
            agenda.at(self._some_moment(wakes_ms), lambda at_ms: self._get_sms(person, at_ms))
        if scene.happens(0.03 * days):
            agenda.at(self._some_moment(wakes_ms), lambda at_ms: contacts.call_support(scene, person, at_ms))
        if scene.happens(0.02 * days):
            agenda.at(self._some_moment(wakes_ms), lambda at_ms: contacts.talk_about_us(scene, person, at_ms))
        for device in person.devices:
            if device.is_app and scene.happens(0.6 * days):
                agenda.at(self._some_moment(wakes_ms), self._pushed(person, device))

    def _some_moment(self, from_ms: int) -> int:
        return some_moment(self._scene.rnd, from_ms, self._end_ms)

    def _visit(
        self,
        person: Person,
        at_ms: int,
        *,
        eagerness: float | None = None,
        device: Device | None = None,
        campaign: Campaign | None = None,
    ) -> None:
        """Whoever is busy comes a little later."""
        scene = self._scene
        if at_ms < person.busy_until_ms:
            at_ms = person.busy_until_ms + scene.between(10 * SECOND_MS, 5 * MINUTE_MS)
        device = device or person.devices[scene.between(0, len(person.devices))]
        if campaign is None and scene.happens(0.08):
            campaign = self._some_campaign()
            at_ms = contacts.see_advert(scene, device, at_ms, campaign=campaign)
        visit = Visit(scene, person, device, at_ms=at_ms)
        outcome = visit.run(scene.rnd.random() ** 2 if eagerness is None else eagerness, campaign=campaign)
        person.busy_until_ms = visit.at_ms
        if outcome is Outcome.BOUGHT:
            self._after_buying(person, visit)
        elif outcome is Outcome.LEFT_CART:
            self._after_leaving_cart(person, device, left_ms=visit.at_ms)

    def _after_buying(self, person: Person, visit: Visit) -> None:
        scene, at_ms, order_id = self._scene, visit.at_ms, visit.order_id
        contacts.send_mail(scene, person, at_ms + scene.between(SECOND_MS, 30 * SECOND_MS), campaign=None)
        contacts.follow_order(scene, person, at_ms + scene.between(SECOND_MS, MINUTE_MS), order_id=order_id)
        if scene.happens(0.15):
            contacts.survey(scene, person, at_ms + scene.between(10 * MINUTE_MS, 6 * HOUR_MS))
        if scene.happens(0.06):
            contacts.ask_speaker(scene, person, at_ms + scene.between(HOUR_MS, 8 * HOUR_MS))

    def _after_leaving_cart(self, person: Person, device: Device, *, left_ms: int) -> None:
        """Some come back soon, some much later or on another device, some buy in the store; most do not."""
        scene, agenda = self._scene, self._scene.agenda
        draw = scene.rnd.random()
        if draw < 0.14:
            back_ms = left_ms + scene.between(5 * MINUTE_MS, 29 * MINUTE_MS)
            agenda.at(back_ms, lambda at_ms: self._visit(person, at_ms, eagerness=0.8, device=device))
        elif draw < 0.34:
            back_ms = left_ms + scene.between(31 * MINUTE_MS, 9 * HOUR_MS)
            same = device if scene.happens(0.6) else None
            agenda.at(back_ms, lambda at_ms: self._visit(person, at_ms, eagerness=0.9, device=same))
        elif draw < 0.47:
            there_ms = left_ms + scene.between(MINUTE_MS, 12 * MINUTE_MS)
            agenda.at(there_ms, lambda at_ms: self._go_to_store(person, at_ms, 0.95))
        elif draw < 0.54:
            there_ms = left_ms + scene.between(40 * MINUTE_MS, 6 * HOUR_MS)
            agenda.at(there_ms, lambda at_ms: self._go_to_store(person, at_ms, 0.9))

    def _go_to_store(self, person: Person, at_ms: int, likely: float) -> None:
        at_ms = max(at_ms, person.busy_until_ms)
        buys = self._scene.happens(likely)
        person.busy_until_ms = town.visit_store(self._scene, person, at_ms, buys=buys)

    def _get_newsletter(self, person: Person, at_ms: int) -> None:
        campaign = self._some_campaign()
        clicked_ms = contacts.send_mail(self._scene, person, at_ms, campaign=campaign)
        self._follow_link(person, clicked_ms, campaign)

    def _get_sms(self, person: Person, at_ms: int) -> None:
        campaign = self._some_campaign()
        clicked_ms = contacts.send_sms(self._scene, person, at_ms, campaign=campaign)
        self._follow_link(person, clicked_ms, campaign)

    def _follow_link(self, person: Person, clicked_ms: int | None, campaign: Campaign) -> None:
        if clicked_ms is not None:
            self._scene.agenda.at(
                clicked_ms, lambda at_ms: self._visit(person, at_ms, eagerness=0.4, campaign=campaign)
            )

    def _pushed(self, person: Person, device: Device) -> Act:
        def act(at_ms: int) -> None:
            tapped_ms = contacts.push(self._scene, device, at_ms)
            if tapped_ms is not None:
                self._scene.agenda.at(
                    tapped_ms, lambda then_ms: self._visit(person, then_ms, eagerness=0.4, device=device)
                )

        return act

    def _some_campaign(self) -> Campaign:
        campaigns = self._scene.shop.campaigns
        return campaigns[self._scene.between(0, len(campaigns))]


def crawl(scene: Scene, start_ms: int) -> None:
    """A bot's day: one anonymous id, page after page at machine speed; now and then it fills a cart."""
    rnd, products = scene.rnd, scene.shop.products
    bits = f"{rnd.getrandbits(128):032x}"
    face = scene.face(anonymous_id=f"bot-{bits}")
    at_ms = start_ms
    for number in range(1, scene.between(500, 4_000)):
        product = products[number % len(products)]
        event, type_ = ("Product Viewed", "track") if number % 2 else ("Page Viewed", "page")
        scene.recorder.note(face, "web", event, at_ms, type_=type_, properties=product.page)
        if number % 97 == 0:
            line = [product.line(1, product.price_micros)]
            scene.recorder.note(
                face, "web", "Product Added", at_ms + 200, cart_id=f"c-{bits[:8]}", items=line
            )
        at_ms += scene.between(300, 1_500) if number % 400 else scene.between(20 * MINUTE_MS, 90 * MINUTE_MS)
