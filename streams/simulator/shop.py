"""What the simulated shop sells, and where: products, tills, campaigns. Knows nobody who buys there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from streams.simulator.options import HOUR_MS, MINUTE_MS

CURRENCY = "EUR"

_CENT_MICROS = 10_000
_CATEGORIES = {
    "shoes": ("Trail Runner", "City Boot", "Canvas Sneaker", "Wool Slipper", "Hiking Boot"),
    "jackets": ("Rain Shell", "Down Jacket", "Denim Jacket", "Softshell", "Parka"),
    "bags": ("Day Pack", "Messenger Bag", "Weekender", "Tote", "Belt Bag"),
    "kitchen": ("Cast Iron Pan", "Chef's Knife", "French Press", "Mixing Bowl", "Kettle"),
    "garden": ("Pruning Shears", "Herb Planter", "Watering Can", "Garden Lantern", "Hammock"),
    "books": ("Field Guide", "Cook Book", "Road Atlas", "Crime Novel", "Poetry Reader"),
    "audio": ("Headphones", "Loudspeaker", "Turntable", "Clock Radio", "Microphone"),
    "toys": ("Wooden Train", "Building Blocks", "Kite", "Puzzle", "Card Game"),
}
_VARIANTS = ("Classic", "Plus", "Light", "Studio", "Nordic", "Coast", "Alpine", "Mini")
_CAMPAIGNS = (
    ("google", "cpc", "spring-shoes"),
    ("instagram", "social", "new-in-march"),
    ("newsletter", "email", "weekly-picks"),
    ("facebook", "paid-social", "come-back"),
    ("partner", "affiliate", "garden-season"),
)

Item = dict[str, Any]
"""One line of a cart or an order, as the envelope has it."""

Campaign = dict[str, str | None]
"""What brought somebody here, as the envelope has it."""


@dataclass(frozen=True, slots=True)
class Product:
    """Something on sale; `page` are the properties of a look at it."""

    product_id: str
    name: str
    category: str
    price_micros: int
    page: dict[str, str]

    def line(self, quantity: int, price_micros: int) -> Item:
        """So many of it, at that price each."""
        return {
            "product_id": self.product_id,
            "name": self.name,
            "category": self.category,
            "quantity": quantity,
            "price_micros": price_micros,
        }


@dataclass(frozen=True, slots=True)
class Till:
    """A till reports at once, or uploads everything together every `upload_every_ms`."""

    location_id: str
    upload_every_ms: int


@dataclass(frozen=True, slots=True)
class Shop:
    """One for all people of a simulation; nothing in it ever changes."""

    products: tuple[Product, ...]
    tills: tuple[Till, ...]
    campaigns: tuple[Campaign, ...]
    searches: tuple[dict[str, str], ...]
    listings: tuple[dict[str, str], ...] = field(
        default=tuple({"path": f"/c/{category}", "list_id": category} for category in _CATEGORIES)
    )


def open_shop(seed: int, *, till_delay_h: float) -> Shop:
    """The same seed stocks the same shop."""
    rnd = random.Random(f"{seed}:shop")
    return Shop(
        products=tuple(_stock(rnd)),
        tills=tuple(_tills(rnd, till_delay_h)),
        campaigns=tuple(
            {"source": source, "medium": medium, "name": name, "term": None, "content": None}
            for source, medium, name in _CAMPAIGNS
        ),
        searches=tuple({"query": name.lower()} for names in _CATEGORIES.values() for name in names),
    )


def _stock(rnd: random.Random) -> list[Product]:
    products: list[Product] = []
    for category, names in _CATEGORIES.items():
        for name in names:
            base_cents = rnd.randrange(600, 14_000)
            for variant in _VARIANTS:
                product_id = f"{category[:2].upper()}{len(products):04d}"
                price_cents = int(base_cents * rnd.uniform(0.8, 1.6)) // 100 * 100 + 99
                page = {"path": f"/p/{product_id}", "product_id": product_id}
                full_name = f"{name} {variant}"
                products.append(Product(product_id, full_name, category, price_cents * _CENT_MICROS, page))
    return products


def _tills(rnd: random.Random, till_delay_h: float) -> list[Till]:
    """Every second till reports late, where a delay is asked for: once in up to that many hours."""
    tills = []
    for number in range(12):
        delay_ms = int(till_delay_h * HOUR_MS * rnd.uniform(0.3, 1.0))
        is_slow = number % 2 == 1 and delay_ms >= MINUTE_MS
        tills.append(Till(f"store-{number // 2 + 1:02d}/till-{number % 2 + 1}", delay_ms if is_slow else 0))
    return tills
