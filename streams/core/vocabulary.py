"""What a touchpoint was, as one byte: the events that have a code of their own, and which of them are views.

Owns the codes; must not know what follows from them. Codes are stored in journals: EVENTS, and the names a setting
adds, are only ever appended to.
"""

from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from schemas.catalog import CHANNELS

OTHER: Final = 0
ORDERED: Final = 1
"""A completed order, the one event that sessions count apart."""
FIRST_FURTHER: Final = 128
"""The code of the first name that a setting adds."""

EVENTS: Final = (
    "other", "Order Completed", "track", "identify", "page", "screen", "group", "alias",
    "Page Viewed", "Screen Viewed", "Products Searched", "Product List Viewed", "Product List Filtered",
    "Product Clicked", "Product Viewed", "Products Compared", "Product Added", "Product Removed", "Cart Updated",
    "Cart Viewed", "Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart",
    "Product Shared", "Cart Shared", "Product Reviewed", "Promotion Viewed", "Promotion Clicked",
    "Coupon Entered", "Coupon Applied", "Coupon Denied", "Coupon Removed",
    "Checkout Started", "Checkout Step Viewed", "Checkout Step Completed", "Payment Info Entered",
    "Payment Failed", "Checkout Failed", "Order Updated", "Order Confirmed", "Order Packed", "Order Shipped",
    "Order Delivered", "Order Cancelled", "Order Refunded", "Order Status Requested",
    "Email Sent", "Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced",
    "Email Marked as Spam", "Unsubscribed", "SMS Sent", "SMS Delivered", "SMS Link Clicked",
    "Push Notification Received", "Push Notification Tapped", "Push Notification Bounced",
    "Application Installed", "Application Opened", "Application Updated", "Application Backgrounded",
    "Application Crashed", "Application Uninstalled", "Install Attributed", "Deep Link Opened", "Deep Link Clicked",
    "Signed Up", "Signed In", "Signed Out", "Account Created", "Account Deleted",
    "Chat Started", "Live Chat Conversation Started", "Live Chat Message Sent", "Live Chat Message Received",
    "Live Chat Conversation Ended", "Support Call Started", "Support Call Ended", "Ticket Opened", "Ticket Solved",
    "Advert Viewed", "Advert Clicked", "Brand Mentioned", "Loyalty Card Linked", "Loyalty Points Earned",
    "Loyalty Points Redeemed", "Store Entered", "Store Left", "Survey Answered",
)  # fmt: skip
"""An event's place is its code: Segment's names (its specs of e-commerce, e-mail, mobile, live chat and accounts) and
those of this project. A call is named where it has no event of these names."""

VIEWS: Final = frozenset(
    {
        "page", "screen", "Page Viewed", "Screen Viewed", "Product List Viewed", "Product Viewed", "Cart Viewed",
        "Checkout Step Viewed",
    }
)  # fmt: skip
"""Something was opened to be looked at. A promotion or an advert is seen beside that, and is none."""

IS_VIEW: Final = bytes([code < len(EVENTS) and EVENTS[code] in VIEWS for code in range(256)])
"""By code."""


@mypyc_attr(acyclic=True)
class Vocabulary:
    """Codes by name and names by code, under the names that an installation adds.

    A name that has become one of EVENTS since has the code it has there, and is still known under its former one.
    """

    __slots__ = ("_codes", "_names", "_steps")

    def __init__(self, further: Sequence[str] = ()) -> None:
        self._names = dict(enumerate(EVENTS))
        self._names.update(enumerate(further, FIRST_FURTHER))
        self._steps: dict[int, str] = {}
        self._codes = {
            name: code for code, name in sorted(self._names.items(), reverse=True) if code != OTHER
        }

    def code_of(self, event: str, call: str) -> int:
        """What an event of this name was, by a call of Segment's (`track`, `page`, …).

        Where the name is not known, the call says it; that of a named `track` says nothing.
        """
        code = self._codes.get(event)
        if code is not None:
            return code
        return OTHER if event and call == "track" else self._codes.get(call, OTHER)

    def name_of(self, code: int) -> str:
        """The name of a code; of one that was known to another setting, that of OTHER."""
        return self._names.get(code, EVENTS[OTHER])

    def step_of(self, channel: int, code: int) -> str:
        """A step of a path, as `web:Product Viewed`; `channel` is its code."""
        key = channel << 8 | code
        step = self._steps.get(key)
        if step is None:
            step = self._steps[key] = f"{CHANNELS[channel]}:{self.name_of(code)}"
        return step
