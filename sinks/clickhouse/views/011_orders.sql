-- Who tells of an order first is asked first; the order system only where nobody else tells of it.
-- Within a channel, touchpoints of one order with other items or amounts are parts of it, equal ones the same again.
CREATE OR REPLACE VIEW orders AS
WITH
told AS
(
    WITH (said.event_at, said.message_id) AS moment
    SELECT
        if(said.order_id != '', ('', assumeNotNull(said.order_id)), (said.profile_id, said.message_id)) AS key,
        said.channel AS channel,
        (channel = 'orders', min(moment), channel) AS place,
        argMin(said.profile_id, moment) AS profile_id,
        argMin(said.message_id, moment) AS message_id,
        argMin(tuple(said.session_id), moment).1 AS session_id,
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
    FROM current_order_touchpoints AS said
    WHERE said.event = 'Order Completed' AND NOT said.is_return
    GROUP BY key, said.channel
),
placed AS
(
    SELECT
        key,
        min(told.place) AS first,
        argMin(told.profile_id, told.place) AS profile_id,
        argMin(told.message_id, told.place) AS message_id,
        argMin(tuple(told.session_id), told.place).1 AS session_id,
        any(told.order_id) AS order_id,
        argMin(told.ordered_at, told.place) AS ordered_at,
        argMin(told.channel, told.place) AS channel,
        arraySort(groupArray(told.channel)) AS told_by,
        argMinIf(told.currency, told.place, told.currency IS NOT NULL) AS currency,
        argMinIf(told.location_id, told.place, told.location_id IS NOT NULL) AS location_id,
        argMinIf(told.coupon_code, told.place, told.coupon_code != '') AS coupon_code,
        argMinIf(told.items, told.place, notEmpty(told.items)) AS items,
        argMinIf(told.revenue_micros, told.place, told.revenue_micros IS NOT NULL) AS revenue_micros
    FROM told
    GROUP BY key
),
fate AS
(
    WITH (said.event_at, said.message_id) AS moment
    SELECT
        assumeNotNull(said.order_id) AS order_id,
        countIf(said.event = 'Order Cancelled' OR said.order_status IN ('cancelled', 'canceled')) > 0 AS is_cancelled,
        argMaxIf(said.order_status, moment, said.order_status != '') AS status,
        argMaxIf(said.shipping_method, moment, said.shipping_method != '') AS shipping_method,
        min(said.delivered_at) AS delivered_at
    FROM order_touchpoints AS said
    WHERE said.order_id != ''
    GROUP BY said.order_id
),
paid_back AS
(
    SELECT assumeNotNull(refunds.order_id) AS order_id, sum(refunded_micros) AS refunded_micros
    FROM refunds
    WHERE refunds.order_id IS NOT NULL
    GROUP BY refunds.order_id
)
SELECT
    ifNull(placed.order_id, placed.message_id) AS order_key,
    placed.order_id AS order_id,
    placed.message_id AS message_id,
    placed.profile_id AS profile_id,
    placed.session_id AS session_id,
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
        row_number() OVER (PARTITION BY placed.profile_id, fate.is_cancelled ORDER BY placed.ordered_at, placed.key)
    ) AS order_number,
    ifNull(order_number = 1, 0) AS is_first_order
FROM placed
LEFT JOIN fate ON fate.order_id = placed.order_id
LEFT JOIN paid_back ON paid_back.order_id = placed.order_id
COMMENT 'Each order once, by order_id, else by message_id: who, when and where as told first, by the order system only where no other channel tells of it. Revenue as ordered; net of refunds, 0 if cancelled. sold_in: store (pos, store), online, or other (support, only the order system, ...). order_number counts the orders of the person from 1, cancelled ones not.';
