-- Of a period too.
CREATE OR REPLACE VIEW kpi_store_sales AS
SELECT
    toStartOfMonth(sale.ordered_at) AS month,
    sale.currency AS currency,
    count() AS orders,
    countIf(before.event_at >= subtractDays(sale.ordered_at, {days:UInt32})) AS with_contact,
    with_contact / orders AS contact_share,
    sum(ifNull(sale.net_revenue_micros, 0)) AS net_revenue_micros,
    sumIf(
        ifNull(sale.net_revenue_micros, 0), before.event_at >= subtractDays(sale.ordered_at, {days:UInt32})
    ) AS contact_revenue_micros
FROM
(
    SELECT * FROM placed_orders AS orders
    WHERE NOT is_cancelled AND sold_in = 'store' /* period: AND ordered_at >= {begin} AND ordered_at < {end} */
) AS sale
ASOF LEFT JOIN
(
    SELECT profile_id, event_at
    FROM touchpoints_once
    WHERE channel IN ('web', 'app', 'email', 'sms', 'push', 'chat', 'social', 'ads', 'voice')
) AS before
    ON before.profile_id = sale.profile_id AND before.event_at < sale.ordered_at
GROUP BY month, currency
COMMENT 'kpi_store_sales(days = 30): sales in stores, and those of them with a digital contact of the same person within so many days before: a visit on web or app, or a message, chat, post, advert or assistant, also one the person only received. That it came before does not say that it led there.';
