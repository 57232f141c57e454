"""The numbers of the rules, with the defaults everybody shares; must not know how a rule works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS

RANKS = ("user_id", "loyalty_id", "email", "phone", "device_id", "anonymous_id")
LIMITS = {"user_id": 1, "loyalty_id": 1, "email": 5, "phone": 5, "device_id": 50, "anonymous_id": 50}
CHANNELS = (
    "web",
    "app",
    "pos",
    "email",
    "sms",
    "push",
    "chat",
    "support",
    "social",
    "ads",
    "loyalty",
    "store",
    "voice",
    "survey",
    "orders",
)
EVENTS = frozenset({
    "Page Viewed", "Screen Viewed", "Products Searched", "Product List Viewed", "Product List Filtered",
    "Product Clicked", "Product Viewed", "Products Compared", "Product Added", "Product Removed",
    "Cart Updated", "Cart Viewed", "Product Added to Wishlist", "Product Removed from Wishlist",
    "Wishlist Product Added to Cart", "Product Shared", "Cart Shared", "Product Reviewed",
    "Promotion Viewed", "Promotion Clicked", "Coupon Entered", "Coupon Applied", "Coupon Denied",
    "Coupon Removed", "Checkout Started", "Checkout Step Viewed", "Checkout Step Completed",
    "Payment Info Entered", "Payment Failed", "Checkout Failed", "Order Completed", "Order Updated",
    "Order Confirmed", "Order Packed", "Order Shipped", "Order Delivered", "Order Cancelled",
    "Order Refunded", "Order Status Requested", "Email Sent", "Email Delivered", "Email Opened",
    "Email Link Clicked", "Email Bounced", "Email Marked as Spam", "Unsubscribed", "SMS Sent",
    "SMS Delivered", "SMS Link Clicked", "Push Notification Received", "Push Notification Tapped",
    "Push Notification Bounced", "Application Installed", "Application Opened", "Application Updated",
    "Application Backgrounded", "Application Crashed", "Application Uninstalled", "Install Attributed",
    "Deep Link Opened", "Deep Link Clicked", "Signed Up", "Signed In", "Signed Out", "Account Created",
    "Account Deleted", "Chat Started", "Live Chat Conversation Started", "Live Chat Message Sent",
    "Live Chat Message Received", "Live Chat Conversation Ended", "Support Call Started",
    "Support Call Ended", "Ticket Opened", "Ticket Solved", "Advert Viewed", "Advert Clicked",
    "Brand Mentioned", "Loyalty Card Linked", "Loyalty Points Earned", "Loyalty Points Redeemed",
    "Store Entered", "Store Left", "Survey Answered",
})  # fmt: skip
CALLS = frozenset({"track", "identify", "page", "screen", "group", "alias"})
VIEWS = frozenset({
    "page", "screen", "Page Viewed", "Screen Viewed", "Product List Viewed", "Product Viewed", "Cart Viewed",
    "Checkout Step Viewed",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """Durations in ms; `is_replay`: `received_at` bounds the arrival, as where history is imported.

    `limits`: how many identifiers of a type one person has at most; `moving`: types that follow their latest user.
    `reminders_ms`: when an abandoned cart is due again, from the beginning of the first silence.
    `keeps_leftovers`: an order that was not made from the cart leaves in it what was not bought.
    `browse_views`: so many views of products with nothing in the cart make a browse; 0: there are none.
    `events` are named beside EVENTS.
    `drop_plus_tags` are domains (`*`: every one), `blocked` are `value`, `type:value` or `type:pattern`.
    """

    ranks: tuple[str, ...] = RANKS
    limits: Mapping[str, int] = field(default_factory=lambda: LIMITS)
    moving: frozenset[str] = frozenset()
    default_region: str = ""
    drop_plus_tags: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    gap_ms: int = 30 * MINUTE_MS
    gaps_ms: Mapping[str, int] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    engaged_ms: int = 10 * SECOND_MS
    longest_path: int = 50
    abandon_after_ms: int = 30 * MINUTE_MS
    reminders_ms: tuple[int, ...] = ()
    recovery_ms: int = 72 * HOUR_MS
    keeps_leftovers: bool = False
    browse_views: int = 0
    most_viewed: int = 20
    late_after_ms: int = 72 * HOUR_MS
    timer_lateness_ms: int = 10 * SECOND_MS
    historical_after_ms: int = 24 * HOUR_MS
    is_replay: bool = True


DEFAULT = Rules()
