CREATE OR REPLACE VIEW kpi_pickup AS
SELECT
    toStartOfMonth(ordered_at) AS month,
    currency,
    count() AS orders,
    countIf(shipping_method = 'pickup') AS picked_up,
    picked_up / orders AS pickup_share,
    sum(ifNull(orders.net_revenue_micros, 0)) AS net_revenue_micros,
    sumIf(ifNull(orders.net_revenue_micros, 0), shipping_method = 'pickup') AS pickup_revenue_micros
FROM placed_orders AS orders
WHERE sold_in = 'online' AND NOT is_cancelled
GROUP BY month, currency
COMMENT 'Buy online, pick up in store (BOPIS): share of the orders made online, cancelled ones left out, whose shipping method is pickup. Orders whose shipping method nobody told count as not picked up.';
