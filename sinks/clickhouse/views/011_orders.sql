-- Of a period too.
-- The session of an order is that of the touchpoint that told of it first, found as in current_touchpoints.
CREATE OR REPLACE VIEW orders AS
WITH toDateTime64('1900-01-01 00:00:00', 3, 'UTC') AS beginning
SELECT
    placed.order_key AS order_key,
    placed.order_id AS order_id,
    placed.message_id AS message_id,
    placed.profile_id AS profile_id,
    multiIf(
        placed.is_late, NULL,
        session.profile_hash = 0, placed.first_session_id,
        session.session_id != ''
        AND (placed.ordered_at <= session.ended_at OR placed.first_session_id = session.session_id),
        session.session_id,
        NULL
    ) AS session_id,
    placed.ordered_at AS ordered_at,
    placed.channel AS channel,
    placed.sold_in AS sold_in,
    placed.told_by AS told_by,
    placed.location_id AS location_id,
    placed.items AS items,
    placed.quantity AS quantity,
    placed.coupon_code AS coupon_code,
    placed.currency AS currency,
    placed.revenue_micros AS revenue_micros,
    placed.refunded_micros AS refunded_micros,
    placed.net_revenue_micros AS net_revenue_micros,
    placed.is_cancelled AS is_cancelled,
    placed.status AS status,
    placed.shipping_method AS shipping_method,
    placed.delivered_at AS delivered_at,
    placed.order_number AS order_number,
    placed.is_first_order AS is_first_order
FROM placed_orders AS placed
ASOF LEFT JOIN
(
    SELECT profile_hash, each.1 AS session_id, each.2 AS started_at, each.3 AS ended_at
    FROM
    (
        SELECT
            person.profile_hash AS profile_hash,
            groupArray((visit.session_id, visit.started_at, visit.ended_at)) AS visits
        FROM
        (
            SELECT sipHash64(profile_id) AS profile_hash, session_id, started_at, ended_at FROM current_sessions
        ) AS visit
        RIGHT JOIN resessioned_buyers AS person ON person.profile_hash = visit.profile_hash
        GROUP BY person.profile_hash
    )
    ARRAY JOIN arrayPushFront(visits, ('', beginning, beginning)) AS each
) AS session
    ON session.profile_hash = placed.profile_hash AND session.started_at <= placed.ordered_at
/* period: WHERE placed.ordered_at >= {begin} AND placed.ordered_at < {end} */
COMMENT 'Each order once, by order_id, else by message_id: who, when and where as told first, by the order system only where no other channel tells of it. Revenue as ordered; net of refunds, 0 if cancelled. sold_in: store (pos, store), online, or other (support, only the order system, ...). order_number counts the orders of the person from 1, cancelled ones not. Who does not ask for session_id reads placed_orders: the same without it, in a third of the time.';
