"""One visit to the web shop or the app: arrive, look around, fill the cart, log in, pay or leave.

Knows a person, a device and a cart; must not know what leads to a visit or follows from it (day.py does).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from streams.simulator.options import MINUTE_MS, SECOND_MS
from streams.simulator.people import Cart, Device, Person
from streams.simulator.recorder import Face
from streams.simulator.scene import Scene
from streams.simulator.shop import Campaign, Item, Product

_HOME = {"path": "/"}
_LOGIN = {"path": "/login"}
_THANKS = {"path": "/thanks"}
_BASKET = {"path": "/cart"}
_HELP = {"path": "/help"}
_CHAT = ("Live Chat Conversation Started", "Live Chat Message Sent", "Live Chat Message Received")
_EXACTLY_THE_GAP_MS = 30 * MINUTE_MS


class Outcome(Enum):
    """How a visit ended, as far as what follows depends on it."""

    LOOKED = "looked"
    BOUGHT = "bought"
    LEFT_CART = "left_cart"


class Visit:
    """`at_ms` moves from act to act; after `run` it says when the visit ended."""

    def __init__(self, scene: Scene, person: Person, device: Device, *, at_ms: int) -> None:
        self.at_ms = at_ms
        self._scene = scene
        self._rnd = scene.rnd
        self._person = person
        self._device = device
        self._channel = "app" if device.is_app else "web"
        self._face = self._face_now()
        self.revenue_micros = 0
        self.order_id = ""

    def run(self, eagerness: float, *, campaign: Campaign | None = None) -> Outcome:
        """Eagerness, 0 to 1: how much of a mind to buy they come with."""
        self._arrive(campaign)
        if self._person.logs_in == "early":
            self._log_in()
        for _ in range(1 + int(self._rnd.expovariate(0.8))):
            self._look_around()
            if self._person.logs_in == "late" and self._scene.happens(0.08):
                self._log_in()
            if self._scene.happens(0.24 + 0.42 * eagerness):
                self._put_into_cart()
        outcome = Outcome.LOOKED
        if self._cart.lines:
            outcome = self._deal_with_cart(eagerness)
        if self._device.is_app and self._scene.happens(0.7):
            self._note("Application Backgrounded")
        return outcome

    @property
    def _cart(self) -> Cart:
        return self._person.cart if self._device.user is self._person else self._device.cart

    def _face_now(self) -> Face:
        user = self._device.user
        return self._scene.face(
            user_id=user.user_id if user else None,
            device_id=self._device.device_id,
            anonymous_id=self._device.anonymous_id,
        )

    def _note(self, event: str, type_: str = "track", *, properties: dict[str, str] = _HOME) -> None:
        """Something happens, and some seconds pass, or now and then half an hour."""
        self._scene.recorder.note(
            self._face, self._channel, event, self.at_ms, type_=type_, properties=properties
        )
        self._pause()

    def _pause(self) -> None:
        draw = self._rnd.random()
        if draw > 0.008:
            # Most clicks follow each other within seconds.
            self.at_ms += 800 + int(self._rnd.random() ** 3 * 100 * SECOND_MS)
        elif draw > 0.001:
            self.at_ms += self._scene.between(20 * MINUTE_MS, 50 * MINUTE_MS)
        else:
            self.at_ms += _EXACTLY_THE_GAP_MS + (draw < 0.0005)

    def _page(self, properties: dict[str, str]) -> None:
        if self._device.is_app:
            self._note("Screen Viewed", "screen", properties=properties)
        else:
            self._note("Page Viewed", "page", properties=properties)

    def _arrive(self, campaign: Campaign | None) -> None:
        first = "Application Opened" if self._device.is_app else "Page Viewed"
        self._scene.recorder.note(
            self._face,
            self._channel,
            first,
            self.at_ms,
            type_="track" if self._device.is_app else "page",
            campaign=campaign,
            properties=_HOME,
        )
        if self._device.is_app:
            # An app sends what it gathered while it started in one go: the same millisecond.
            self._scene.recorder.note(
                self._face,
                self._channel,
                "Screen Viewed",
                self.at_ms,
                type_="screen",
                properties=_HOME,
                is_tie=True,
            )
        self._pause()

    def _log_in(self) -> None:
        """From here on the device shows who they are, and what it held in its own cart is theirs."""
        person, device = self._person, self._device
        if device.user is person or person.user_id is None:
            return
        if device.user is not None:
            self._note("Signed Out")
            device.user = None
            self._face = self._face_now()
        self._page(_LOGIN)
        device.user = person
        self._face = self._face_now()
        introduction = self._scene.face(
            user_id=person.user_id,
            email=person.email if self._scene.happens(0.85) else None,
            phone=person.phone if self._scene.happens(0.3) else None,
            device_id=device.device_id,
            anonymous_id=device.anonymous_id,
        )
        self._scene.recorder.note(introduction, self._channel, "Identify", self.at_ms, type_="identify")
        self.at_ms += 300
        self._note("Signed In", properties=_LOGIN)
        for product, quantity, price_micros in device.cart.lines.values():
            _put(person.cart, product, quantity=quantity, price_micros=price_micros)
        device.cart.lines.clear()

    def _look_around(self) -> None:
        shop, rnd = self._scene.shop, self._rnd
        if self._scene.happens(0.4):
            self._note("Products Searched", properties=shop.searches[int(rnd.random() * len(shop.searches))])
        else:
            listing = shop.listings[int(rnd.random() * len(shop.listings))]
            self._note("Product List Viewed", properties=listing)
        for _ in range(1 + int(rnd.random() * 3)):
            product = self._some_product()
            self._note("Product Viewed", properties=product.page)
            if self._scene.happens(0.12):
                self._page(product.page)
        if self._scene.happens(0.03):
            self._note("Product Added to Wishlist", properties=self._some_product().page)
        if self._scene.happens(0.02):
            self._chat()

    def _some_product(self) -> Product:
        products = self._scene.shop.products
        # A few products are what most people look at.
        return products[int(self._rnd.random() ** 2 * len(products))]

    def _chat(self) -> None:
        recorder = self._scene.recorder
        for event in (
            "Live Chat Conversation Started",
            "Live Chat Message Sent",
            "Live Chat Message Received",
        ):
            recorder.note(self._face, "chat", event, self.at_ms, properties=_HELP)
            self.at_ms += self._scene.between(5 * SECOND_MS, 90 * SECOND_MS)
        recorder.note(self._face, "chat", "Live Chat Conversation Ended", self.at_ms, properties=_HELP)
        self._pause()

    def _put_into_cart(self) -> None:
        product = self._some_product()
        quantity = 1 if self._scene.happens(0.85) else 2
        price_micros = product.price_micros if self._scene.happens(0.95) else product.price_micros * 9 // 10
        self._add(product, quantity, price_micros=price_micros)
        if self._scene.happens(0.02):
            self._swap(product, price_micros)

    def _add(self, product: Product, quantity: int, *, price_micros: int) -> None:
        _put(self._cart, product, quantity=quantity, price_micros=price_micros)
        self._note_cart("Product Added", [product.line(quantity, price_micros)])

    def _swap(self, product: Product, price_micros: int) -> None:
        """Taken out and put back in one millisecond: only the order of the rules tells which was first."""
        line = [product.line(1, price_micros)]
        note, cart = self._scene.recorder.note, self._cart
        at_ms = self.at_ms
        note(self._face, self._channel, "Product Removed", at_ms, cart_id=cart.cart_id, items=line)
        note(self._face, self._channel, "Product Added", at_ms, cart_id=cart.cart_id, items=line, is_tie=True)
        self.at_ms += SECOND_MS
        self._note_cart("Cart Viewed", _lines(cart))

    def _note_cart(self, event: str, items: Sequence[Item]) -> None:
        self._scene.recorder.note(
            self._face, self._channel, event, self.at_ms, cart_id=self._cart.cart_id, items=items
        )
        self._pause()

    def _deal_with_cart(self, eagerness: float) -> Outcome:
        if self._scene.happens(0.6):
            self._page(_BASKET)
            self._note_cart("Cart Viewed", _lines(self._cart))
            self._change_mind()
        if self._cart.lines and self._scene.happens(0.3 + 0.6 * eagerness):
            return self._check_out(eagerness)
        return Outcome.LEFT_CART if self._cart.lines else Outcome.LOOKED

    def _change_mind(self) -> None:
        """Take something out, change how many, or give up the whole cart."""
        draw = self._rnd.random()
        lines = self._cart.lines
        if draw < 0.2:
            product, quantity, price_micros = lines.pop(next(iter(lines)))
            self._note_cart("Product Removed", [product.line(quantity, price_micros)])
        elif draw < 0.3:
            product, quantity, price_micros = lines[next(iter(lines))]
            lines[product.product_id] = (product, quantity + 1, price_micros)
            self._note_cart("Cart Updated", _lines(self._cart))
        elif draw < 0.34:
            lines.clear()
            self._note_cart("Cart Updated", ())

    def _check_out(self, eagerness: float) -> Outcome:
        self._note_cart("Checkout Started", _lines(self._cart))
        if self._person.user_id is not None and self._scene.happens(0.8):
            self._log_in()
        elif self._person.email is not None and self._device.user is None:
            self._order_as_guest()
        for step in ("Checkout Step Viewed", "Checkout Step Completed"):
            self._note_cart(step, ())
        if not self._scene.happens(0.5 + 0.4 * eagerness):
            return Outcome.LEFT_CART
        self._note_cart("Payment Info Entered", ())
        return self._pay()

    def _order_as_guest(self) -> None:
        introduction = self._scene.face(
            email=self._person.email,
            device_id=self._device.device_id,
            anonymous_id=self._device.anonymous_id,
        )
        self._scene.recorder.note(introduction, self._channel, "Identify", self.at_ms, type_="identify")
        self._pause()

    def _pay(self) -> Outcome:
        cart = self._cart
        items = _lines(cart)
        self.revenue_micros = sum(line["quantity"] * line["price_micros"] for line in items)
        self.order_id = f"o-{cart.cart_id}"
        self._scene.recorder.note(
            self._face,
            self._channel,
            "Order Completed",
            self.at_ms,
            cart_id=cart.cart_id,
            order_id=self.order_id,
            items=items,
            revenue_micros=self.revenue_micros,
        )
        cart.take_new()
        self._pause()
        self._page(_THANKS)
        return Outcome.BOUGHT


def _put(cart: Cart, product: Product, *, quantity: int, price_micros: int) -> None:
    held = cart.lines.get(product.product_id)
    cart.lines[product.product_id] = (product, quantity + (held[1] if held else 0), price_micros)


def _lines(cart: Cart) -> list[Item]:
    return [product.line(quantity, price_micros) for product, quantity, price_micros in cart.lines.values()]
