CREATE OR REPLACE VIEW kpi_orders AS
SELECT
    toDate(ordered_at) AS day,
    channel,
    sold_in,
    currency,
    countIf(NOT is_cancelled) AS orders,
    countIf(is_cancelled) AS cancelled,
    uniqExactIf(profile_hash, NOT is_cancelled) AS customers,
    countIf(is_first_order) AS first_orders,
    sumIf(quantity, NOT is_cancelled) AS pieces,
    sumIf(ifNull(orders.revenue_micros, 0), NOT is_cancelled) AS revenue_micros,
    sumIf(orders.refunded_micros, NOT is_cancelled) AS refunded_micros,
    sum(ifNull(orders.net_revenue_micros, 0)) AS net_revenue_micros,
    revenue_micros / nullIf(countIf(NOT is_cancelled AND isNotNull(orders.revenue_micros)), 0) AS aov_micros
FROM placed_orders AS orders
GROUP BY day, channel, sold_in, currency
COMMENT 'Orders by day (UTC), channel and currency, cancelled ones apart. Revenue is as ordered, net revenue after refunds (counted on the day of the order; those that name no order are in refunds alone); aov_micros, the average order value, is revenue by order whose revenue is known. For other periods add up and divide anew; customers do not add up.';
