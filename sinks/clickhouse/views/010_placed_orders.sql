-- Who tells of an order first is asked first; the order system only where nobody else tells of it.
-- Within a channel, touchpoints of one order with other items or amounts are parts of it, equal ones the same again.
-- Most orders are told once: these are taken as they are, and only the rest is put together.
CREATE OR REPLACE VIEW placed_orders AS
WITH
whose AS
(
    SELECT owner_hash, one.profile_id AS profile_id, one.profile_hash AS profile_hash
    FROM moved_owners AS one
    WHERE owner_hash IN (SELECT owner_hash FROM order_records WHERE is_sale)
),
told_again AS
(
    SELECT order_hash FROM order_records WHERE is_sale GROUP BY order_hash HAVING count() > 1
),
told AS
(
    WITH (said.event_at, said.message_id) AS moment
    SELECT
        said.order_hash AS order_hash,
        if(ifNull(said.order_id, '') = '', said.profile_hash, 0) AS who,
        said.channel AS channel,
        (channel = 'orders', min(moment), channel) AS first,
        argMin(said.profile_id, moment) AS profile_id,
        argMin(said.profile_hash, moment) AS profile_hash,
        argMin(said.message_id, moment) AS message_id,
        argMin(tuple(said.session_id), moment).1 AS session_id,
        argMin(said.is_late, moment) AS is_late,
        anyIf(said.order_id, said.order_id != '') AS order_id,
        min(said.event_at) AS ordered_at,
        argMinIf(said.currency, moment, said.currency IS NOT NULL) AS currency,
        argMinIf(said.location_id, moment, said.location_id IS NOT NULL) AS location_id,
        argMinIf(said.coupon_code, moment, said.coupon_code != '') AS coupon_code,
        arraySort(groupUniqArray(
            (said.items, ifNull(said.revenue_micros, 0), said.revenue_micros IS NOT NULL)
        )) AS parts,
        arrayFlatten(arrayMap(part -> part.1, parts)) AS items,
        if(arrayExists(part -> part.3, parts), arraySum(part -> part.2, parts), NULL) AS revenue_micros
    FROM
    (
        SELECT
            record.* REPLACE (
                if(owner.profile_id != '', owner.profile_id, record.profile_id) AS profile_id,
                if(owner.profile_hash != 0, owner.profile_hash, record.profile_hash) AS profile_hash
            )
        FROM order_records AS record
        LEFT ANY JOIN whose AS owner ON owner.owner_hash = record.owner_hash
        WHERE record.is_sale AND record.order_hash IN (SELECT order_hash FROM told_again)
        ORDER BY record.is_late, record.event_at, record.place % 65536, record.place
        LIMIT 1 BY record.order_hash, profile_hash, record.message_key
    ) AS said
    GROUP BY order_hash, who, channel
),
placed AS
(
    SELECT
        record.order_hash AS order_hash,
        nullIf(record.order_id, '') AS order_id,
        record.message_id AS message_id,
        if(owner.profile_id != '', owner.profile_id, record.profile_id) AS profile_id,
        if(owner.profile_hash != 0, owner.profile_hash, record.profile_hash) AS profile_hash,
        record.session_id AS session_id,
        record.is_late AS is_late,
        record.event_at AS ordered_at,
        record.channel AS channel,
        [record.channel] AS told_by,
        record.currency AS currency,
        record.location_id AS location_id,
        record.coupon_code AS coupon_code,
        record.items AS items,
        record.revenue_micros AS revenue_micros
    FROM order_records AS record
    LEFT ANY JOIN whose AS owner ON owner.owner_hash = record.owner_hash
    WHERE record.is_sale AND record.order_hash NOT IN (SELECT order_hash FROM told_again)
    UNION ALL
    SELECT
        told.order_hash AS order_hash,
        any(told.order_id) AS order_id,
        argMin(told.message_id, told.first) AS message_id,
        argMin(told.profile_id, told.first) AS profile_id,
        argMin(told.profile_hash, told.first) AS profile_hash,
        argMin(tuple(told.session_id), told.first).1 AS session_id,
        argMin(told.is_late, told.first) AS is_late,
        argMin(told.ordered_at, told.first) AS ordered_at,
        argMin(told.channel, told.first) AS channel,
        arraySort(groupArray(told.channel)) AS told_by,
        argMinIf(told.currency, told.first, told.currency IS NOT NULL) AS currency,
        argMinIf(told.location_id, told.first, told.location_id IS NOT NULL) AS location_id,
        argMinIf(told.coupon_code, told.first, told.coupon_code != '') AS coupon_code,
        argMinIf(told.items, told.first, notEmpty(told.items)) AS items,
        argMinIf(told.revenue_micros, told.first, told.revenue_micros IS NOT NULL) AS revenue_micros
    FROM told
    GROUP BY told.order_hash, told.who
),
fate AS
(
    WITH (said.event_at, said.message_id) AS moment
    SELECT
        said.order_hash AS order_hash,
        countIf(said.event = 'Order Cancelled' OR said.order_status IN ('cancelled', 'canceled')) > 0 AS is_cancelled,
        argMaxIf(said.order_status, moment, said.order_status != '') AS status,
        argMaxIf(said.shipping_method, moment, said.shipping_method != '') AS shipping_method,
        min(said.delivered_at) AS delivered_at
    FROM order_records AS said
    WHERE ifNull(said.order_id, '') != ''
        AND (
            said.event = 'Order Cancelled' OR said.order_status != '' OR said.shipping_method != ''
            OR said.delivered_at IS NOT NULL
        )
    GROUP BY said.order_hash
),
returned AS
(
    WITH (said.event_at, said.message_id) AS moment
    SELECT
        argMinIf(said.order_hash, moment, ifNull(said.order_id, '') != '') AS order_hash,
        max(said.refunded_micros) AS refunded_micros
    FROM order_records AS said
    WHERE said.is_refund
    GROUP BY if(said.return_id = '', (said.order_hash, said.message_key), (0, sipHash64(said.return_id)))
),
paid_back AS
(
    SELECT returned.order_hash AS order_hash, sum(returned.refunded_micros) AS refunded_micros
    FROM returned
    WHERE returned.order_hash != 0
    GROUP BY returned.order_hash
)
SELECT
    ifNull(placed.order_id, placed.message_id) AS order_key,
    placed.order_id AS order_id,
    placed.message_id AS message_id,
    placed.profile_id AS profile_id,
    placed.profile_hash AS profile_hash,
    placed.session_id AS first_session_id,
    placed.is_late AS is_late,
    placed.ordered_at AS ordered_at,
    placed.channel AS channel,
    multiIf(
        placed.channel IN ('pos', 'store'), 'store',
        placed.channel IN ('web', 'app', 'email', 'sms', 'push', 'chat', 'social', 'ads', 'voice'), 'online',
        'other'
    ) AS sold_in,
    placed.told_by AS told_by,
    placed.location_id AS location_id,
    placed.items AS items,
    arraySum(item -> item.quantity, placed.items) AS quantity,
    placed.coupon_code AS coupon_code,
    placed.currency AS currency,
    placed.revenue_micros AS revenue_micros,
    ifNull(paid_back.refunded_micros, 0) AS refunded_micros,
    if(fate.is_cancelled, 0, placed.revenue_micros - ifNull(paid_back.refunded_micros, 0)) AS net_revenue_micros,
    fate.is_cancelled = 1 AS is_cancelled,
    fate.status AS status,
    fate.shipping_method AS shipping_method,
    fate.delivered_at AS delivered_at,
    if(
        fate.is_cancelled,
        NULL,
        row_number() OVER (
            PARTITION BY placed.profile_hash, fate.is_cancelled
            ORDER BY placed.ordered_at, if(placed.order_id IS NULL, placed.profile_id, ''), order_key
        )
    ) AS order_number,
    ifNull(order_number = 1, 0) AS is_first_order
FROM placed
LEFT JOIN fate ON fate.order_hash = if(placed.order_id IS NULL, 0, placed.order_hash)
LEFT JOIN paid_back ON paid_back.order_hash = if(placed.order_id IS NULL, 0, placed.order_hash)
COMMENT 'orders less session_id, which takes longer to find than all the rest; every figure of orders is made from this. first_session_id is the session as it was when the order was told of.';
