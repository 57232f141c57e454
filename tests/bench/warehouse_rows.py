"""Synthetic history for the warehouse, made by ClickHouse itself: INSERT … SELECT … FROM numbers, the same each time.

Ten touchpoints a person in three sessions over a year. Every second person was two before, in the first session, as
where people sign in; of 200 touchpoints one was landed twice, later and on another partition. Must not know the views.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

PER_PERSON: Final = 10
MONTHS: Final = 12
_SLICE: Final = 1_000_000
_START: Final = "toDateTime64('2025-01-01 00:00:00', 3, 'UTC')"

_PEOPLE: Final = """
    intDiv({n}, 10) AS people,
    number % people AS person,
    person % 2 = 0 AS was_two,
    UUIDNumToString(MD5(concat('person', toString(person)))) AS whole_id,
    UUIDNumToString(MD5(concat('part', toString(person)))) AS part_id,
    concat('user_id:', toString(person)) AS user,
    concat('email:', toString(person), '@example.org') AS mail,
    concat('anonymous_id:', UUIDNumToString(MD5(concat('browser', toString(person))))) AS browser
"""
_VISITS: Final = """
    addMinutes({start}, visit * 172800 + sipHash64(person, visit) % 144000) AS began_at,
    UUIDNumToString(MD5(concat('session', toString(person), '-', toString(visit)))) AS visit_session
""".replace("{start}", _START)

_TOUCHPOINTS: Final = (
    """
INSERT INTO touchpoints
(
    message_id, type, event, channel, occurred_at, received_at, identifiers, cart_id, order_id, items, revenue_micros,
    currency, campaign, location_id, profile_id, session_id, stitched_at, is_late, identified_by, page_url, page_path,
    referrer, user_agent, is_return, email_id, sms_id, notification_id, network, ticket_id, ticket_status,
    ticket_category,
    program, tier, points_delta, survey_id, survey_kind, response_id, question_id, score, score_max, order_status,
    shipping_method, coupon_code, return_id, refund_micros, _partition, _offset
)
WITH
    """
    + _PEOPLE
    + """,
    intDiv(number, people) AS step,
    intDiv(step, 4) AS visit,
    """
    + _VISITS
    + """,
    toUInt8(sipHash64(person, step, 'channel') % 100) AS dice,
    person % 3 = 0 AND step = 3 OR person % 6 = 0 AND step = 7 AS is_order,
    person % 60 = 0 AND step = 8 AS is_refund,
    multiIf(
        is_order, ['web', 'web', 'app', 'pos'][1 + dice % 4],
        is_refund, 'orders',
        dice < 55, 'web', dice < 70, 'app', dice < 78, 'email', dice < 80, 'sms', dice < 84, 'push', dice < 87,
        'support',
        dice < 90, 'loyalty', dice < 92, 'survey', dice < 95, 'store', dice < 97, 'ads', dice < 98, 'social',
        dice < 99, 'chat', 'orders'
    ) AS through,
    ['Page Viewed', 'Product Viewed', 'Product Added', 'Checkout Started'][1 + step % 4] AS online_event,
    concat('o', toString(person), '-', toString(intDiv(step, 4))) AS this_order,
    is_order OR through = 'orders' AS has_order
SELECT
    UUIDNumToString(MD5(concat('message', toString(number)))) AS message_id,
    'track' AS type,
    multiIf(
        is_order, 'Order Completed', is_refund, 'Order Refunded', through IN ('web', 'app'), online_event,
        through = 'email', ['Email Sent', 'Email Opened', 'Email Link Clicked', 'Email Delivered'][1 + step % 4],
        through = 'sms', 'SMS Sent', through = 'push', 'Push Notification Tapped',
        through = 'support', ['Ticket Opened', 'Ticket Solved'][1 + step % 2], through = 'loyalty', 'Points Earned',
        through = 'survey', 'Survey Answered', through = 'store', 'Store Entered', through = 'ads', 'Advert Clicked',
        through = 'orders', 'Order Shipped', 'Message Received'
    ) AS event,
    through AS channel,
    addMilliseconds(began_at, (step % 4) * 60000 + sipHash64(number) % 1000) AS occurred_at,
    addSeconds(occurred_at, {delay_s}) AS received_at,
    map('user_id', toString(person)) AS identifiers,
    if(online_event = 'Product Added', concat('c', toString(person)), NULL) AS cart_id,
    if(has_order, this_order, NULL) AS order_id,
    if(
        is_order OR online_event = 'Product Added',
        [(concat('sku', toString(number % 1000)), 'Thing', 'Things', toInt64(1 + number % 3), toInt64(19990000))], []
    ) AS items,
    if(is_order, toInt64(20000000 + number % 90000000), NULL) AS revenue_micros,
    if(is_order OR is_refund, ['EUR', 'EUR', 'USD', 'CHF'][1 + person % 4], NULL) AS currency,
    (
        if(dice % 10 = 0, ['google', 'newsletter', 'facebook'][1 + dice % 3], NULL),
        if(dice % 10 = 0, ['cpc', 'email', 'social'][1 + dice % 3], NULL),
        if(dice % 10 = 0, materialize('spring'), NULL), materialize(NULL::Nullable(String)),
        materialize(NULL::Nullable(String))
    ) AS campaign,
    if(through IN ('pos', 'store'), concat('shop', toString(person % 50)), NULL) AS location_id,
    if(was_two AND visit = 0, part_id, whole_id) AS profile_id,
    if(is_late, NULL, visit_session) AS session_id,
    received_at AS stitched_at,
    number % 211 = 0 AS is_late,
    multiIf(visit = 0, browser, step % 2 = 0, user, mail) AS identified_by,
    if(through IN ('web', 'app'), concat('https://shop.example/p/', toString(number % 1000)), '') AS page_url,
    if(through IN ('web', 'app'), concat('/p/', toString(number % 1000)), '') AS page_path,
    if(through = 'web' AND step % 4 = 0, ['https://www.google.com/', 'https://blog.example/', ''][1 + dice % 3],
    '') AS referrer,
    if(through = 'web', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36', '') AS user_agent,
    false AS is_return,
    if(through = 'email', concat('e', toString(intDiv(number, 2))), '') AS email_id,
    if(through = 'sms', concat('s', toString(number)), '') AS sms_id,
    if(through = 'push', concat('n', toString(number)), '') AS notification_id,
    multiIf(through = 'social', 'instagram', through = 'ads', 'google', '') AS network,
    if(through = 'support', concat('t', toString(person)), '') AS ticket_id,
    multiIf(through != 'support', '', step % 2 = 0, 'open', 'solved') AS ticket_status,
    if(through = 'support', ['delivery', 'payment', 'return'][1 + dice % 3], '') AS ticket_category,
    if(through = 'loyalty', 'club', '') AS program,
    if(through = 'loyalty', ['silver', 'gold'][1 + step % 2], '') AS tier,
    if(through = 'loyalty', toInt64(100), NULL) AS points_delta,
    if(through = 'survey', 'after', '') AS survey_id,
    if(through = 'survey', ['nps', 'csat'][1 + step % 2], '') AS survey_kind,
    if(through = 'survey', concat('r', toString(number)), '') AS response_id,
    if(through = 'survey', 'q1', '') AS question_id,
    if(through = 'survey', toInt64(number % 11), NULL) AS score,
    if(through = 'survey', toInt64(10), NULL) AS score_max,
    if(through = 'orders', 'shipped', '') AS order_status,
    if(through = 'orders', ['standard', 'pickup'][1 + person % 2], '') AS shipping_method,
    if(is_order AND dice < 10, 'SPRING', '') AS coupon_code,
    if(is_refund, concat('x', toString(person)), '') AS return_id,
    if(is_refund, toInt64(10000000), NULL) AS refund_micros,
    (person + {moved}) % 8 AS _partition,
    number + {moved} * {n} AS _offset
FROM numbers({first}, {slice})
WHERE toMonth(occurred_at) = {month} AND {which}
"""
)

_SESSIONS: Final = (
    """
INSERT INTO sessions
(
    session_id, profile_id, revision, started_at, ended_at, touchpoints, channels, orders, revenue_micros, is_final,
    is_retracted, revenue, is_engaged, _partition, _offset
)
WITH """
    + _PEOPLE
    + """,
    intDiv(number, people) AS place, place % 3 AS visit, intDiv(place, 3) > 0 AS is_first, """
    + _VISITS
    + """
SELECT
    visit_session, if(was_two AND visit = 0, part_id, whole_id), if(is_first, 1, 2), began_at,
    addSeconds(began_at, if(is_first OR visit = 2, 61, 181)), if(is_first OR visit = 2, 2, 4), ['web', 'app'],
    person % 3 = 0 AND visit = 0, 20000000, NOT is_first, person % 50 = 0 AND visit = 2, map('EUR', toInt64(20000000)),
    true, person % 8, number
FROM numbers(intDiv({n}, 10) * 6)
WHERE NOT is_first OR person % 3 = 0
"""
)

_CARTS: Final = (
    """
INSERT INTO carts
(
    episode_id, profile_id, revision, status, cart_id, opened_at, updated_at, items, value_micros, currency, _partition,
    _offset
)
WITH """
    + _PEOPLE
    + """, 0 AS visit, """
    + _VISITS
    + """, toUInt8(intDiv(number, people)) AS round
SELECT
    UUIDNumToString(MD5(concat('cart', toString(person)))), if(was_two, part_id, whole_id), round,
    if(round = 0, 'open', ['abandoned', 'purchased', 'abandoned', 'retracted'][1 + intDiv(person, 2) % 4]),
    concat('c', toString(person)), addMinutes(began_at, 2), addMinutes(began_at, 3),
    [('sku1', 'Thing', 'Things', toInt64(1), toInt64(19990000))], 19990000, 'EUR', person % 8, number
FROM numbers(intDiv({n}, 10) * 2)
WHERE person % 2 = 0
"""
)

_ACTIONS: Final = (
    """
INSERT INTO actions
(
    action_id, profile_id, revision, trigger, step, status, due_at, decided_at, expires_at, opened_at, opened_by,
    cart_id,
    value_micros, currency, identifiers, channels, reason, variant, recovered_micros, _partition, _offset
)
WITH """
    + _PEOPLE
    + """, 0 AS visit, """
    + _VISITS
    + """, toUInt8(intDiv(number, people)) AS round
SELECT
    hex(MD5(concat('action', toString(person)))), if(was_two, part_id, whole_id), 1 + round, 'abandoned_cart', 1,
    if(round = 0, 'due', ['due', 'recovered'][1 + intDiv(person, 8) % 2]), addMinutes(began_at, 33),
    addMinutes(began_at, 34), addDays(began_at, 3), addMinutes(began_at, 2), 'm', concat('c', toString(person)),
    19990000,
    'EUR', map('email', toString(person)), ['email'], 'left alone', ['a', 'b'][1 + person % 2],
    if(round = 1 AND intDiv(person, 8) % 2 = 1, 19990000, NULL), person % 8, number
FROM numbers(intDiv({n}, 10) * 2)
WHERE person % 4 = 0
"""
)

_DELIVERIES: Final = (
    """
INSERT INTO deliveries
(
    endpoint, action_id, revision, profile_id, trigger, step, status, outcome, attempt, attempted_at, is_sent,
    _partition,
    _offset
)
WITH """
    + _PEOPLE
    + """, 0 AS visit, """
    + _VISITS
    + """
SELECT
    'crm', hex(MD5(concat('action', toString(person)))), 1, if(was_two, part_id, whole_id), 'abandoned_cart', 1, 'due',
    'delivered', 1, addMinutes(began_at, 34), true, person % 8, number
FROM numbers(intDiv({n}, 10))
WHERE person % 4 = 0
"""
)

_IDENTITIES: Final = (
    """
INSERT INTO identities
(identifier, profile_id, own_profile_id, root, kind, caused_by, decided_at, rule, _partition, _offset)
WITH """
    + _PEOPLE
    + """, toUInt8(intDiv(number, people)) AS round,
    UUIDNumToString(MD5(concat('mail', toString(person)))) AS mail_id
SELECT
    [user, mail, browser, browser][1 + round],
    if(round = 2 AND was_two, part_id, whole_id),
    [whole_id, mail_id, part_id, part_id][1 + round],
    if(round = 2 AND was_two, browser, user),
    multiIf(round = 3, 'merged', round = 0 OR was_two AND round = 2, 'created', 'stitched'),
    'm',
    {start},
    'seen together',
    sipHash64([user, mail, browser, browser][1 + round]) % 8,
    number
FROM numbers(intDiv({n}, 10) * 4)
WHERE round < 3 OR was_two
"""
).replace("{start}", _START)


def inserts(touchpoints: int) -> Iterator[str]:
    """The statements, in the order in which records land: month by month, copies after what they repeat."""
    for month in range(1, MONTHS + 1):
        for is_copy in (0, 1):
            for first in range(0, touchpoints, _SLICE):
                named = {
                    "n": touchpoints,
                    "month": month,
                    "which": "number % 200 = 0" if is_copy else "true",
                    "moved": is_copy,
                    "delay_s": 1 + 4 * is_copy,
                    "first": first,
                    "slice": min(_SLICE, touchpoints - first),
                }
                yield _filled(_TOUCHPOINTS, named)
    for each in (_SESSIONS, _CARTS, _ACTIONS, _DELIVERIES, _IDENTITIES):
        yield _filled(each, {"n": touchpoints})


def _filled(statement: str, named: Mapping[str, object]) -> str:
    for name, value in named.items():
        statement = statement.replace("{" + name + "}", str(value))
    return statement
