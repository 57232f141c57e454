"""Which columns say who somebody is: the one place that knows.

A column is personal by its name, in whichever table or view it stands. `profile_id`, `session_id` and the ids of
messages, carts and orders are not: they lead to nobody without the columns that are. Views named analyst_… are those of
the same name less these columns; `deploy/clickhouse/users.d/analyst.xml` lets analysts read no others.
"""

from __future__ import annotations

from typing import Final

PERSONAL: Final = frozenset({
    # Names of people and of their devices, and what was sent from them.
    "identifier", "identifiers", "identified_by", "linked_to", "root", "ip", "user_agent", "handle", "followers",
    # Text that people, or those who served them, write themselves.
    "comment", "ticket_subject", "search_query", "reply_keyword", "properties", "sender",
    # Addresses of pages and parcels: with a query, they may name whoever they were made for.
    "page_url", "referrer", "deep_link_url", "link_url", "landing_url", "post_url", "post_id", "parent_post_id",
    "tracking_number", "click_id", "call_id",
})  # fmt: skip
"""Columns that only the role `pii` may read."""
EXPOSING: Final = {
    "current_touchpoints": "analyst_touchpoints",
    "current_actions": "analyst_actions",
    "profiles": "analyst_profiles",
    "surveys": "analyst_surveys",
}
"""View with personal columns to the one without them."""
