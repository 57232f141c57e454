CREATE OR REPLACE VIEW kpi_customers_by_channels AS
SELECT
    if(length(channels) > 1, 'omnichannel', 'single-channel') AS customer_group,
    channels,
    currency,
    count() AS customers,
    sum(bought.orders) AS orders,
    countIf(bought.orders > 1) AS repeat_customers,
    repeat_customers / customers AS repeat_rate,
    orders / customers AS orders_per_customer,
    sum(bought.net_revenue_micros) AS net_revenue_micros,
    net_revenue_micros / customers AS revenue_per_customer_micros
FROM
(
    SELECT
        profile_hash,
        orders.currency AS currency,
        arraySort(groupUniqArray(channel)) AS channels,
        count() AS orders,
        sum(ifNull(orders.net_revenue_micros, 0)) AS net_revenue_micros
    FROM placed_orders AS orders
    WHERE NOT is_cancelled
    GROUP BY profile_hash, currency
) AS bought
GROUP BY customer_group, channels, currency
COMMENT 'Customers by the channels they have bought through, a row for each set of channels and currency: omnichannel if there are two or more. Who buys more has more chances to be omnichannel, so the difference between the groups is no effect of the channels.';
