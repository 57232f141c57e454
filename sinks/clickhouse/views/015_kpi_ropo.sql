-- Of a period too.
CREATE OR REPLACE VIEW kpi_ropo AS
SELECT
    toStartOfMonth(sale.ordered_at) AS month,
    sale.sold_in AS sold_in,
    sale.currency AS currency,
    count() AS orders,
    countIf(before.event_at >= subtractDays(sale.ordered_at, {days:UInt32})) AS researched,
    researched / orders AS research_share,
    sum(ifNull(sale.net_revenue_micros, 0)) AS net_revenue_micros,
    sumIf(
        ifNull(sale.net_revenue_micros, 0), before.event_at >= subtractDays(sale.ordered_at, {days:UInt32})
    ) AS researched_revenue_micros
FROM
(
    SELECT *, if(sold_in = 'store', 'online', 'store') AS researched_in
    FROM placed_orders AS orders
    WHERE NOT is_cancelled AND sold_in IN ('store', 'online')
        /* period: AND ordered_at >= {begin} AND ordered_at < {end} */
) AS sale
ASOF LEFT JOIN
(
    SELECT profile_id, event_at, if(channel IN ('web', 'app'), 'online', 'store') AS seen_in
    FROM touchpoints_once
    WHERE channel IN ('web', 'app', 'pos', 'store')
) AS before
    ON before.profile_id = sale.profile_id AND before.seen_in = sale.researched_in
    AND before.event_at < sale.ordered_at
GROUP BY month, sold_in, currency
COMMENT 'kpi_ropo(days = 30): research online, purchase offline, and the reverse. sold_in = store: sales in a store, researched where the same person was on web or app within so many days before. sold_in = online: sales online, researched where the person was in a store (pos, store) within so many days before. By month of the sale (UTC); only people known on both sides can show.';
