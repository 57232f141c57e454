-- Equal values have equal scores: a quintile is a fifth of the ranks, not of the rows.
CREATE OR REPLACE VIEW rfm AS
SELECT
    profile_id,
    currency,
    dateDiff('day', toDate(last_order_at), {until:Date}) AS recency_days,
    frequency,
    monetary_micros,
    5 - intDiv(5 * (rank() OVER (PARTITION BY currency ORDER BY recency_days) - 1), people) AS recency_score,
    1 + intDiv(5 * (rank() OVER (PARTITION BY currency ORDER BY frequency) - 1), people) AS frequency_score,
    1 + intDiv(5 * (rank() OVER (PARTITION BY currency ORDER BY monetary_micros) - 1), people) AS monetary_score
FROM
(
    SELECT *, count() OVER (PARTITION BY currency) AS people
    FROM
    (
        SELECT
            profile_id,
            currency,
            max(ordered_at) AS last_order_at,
            count() AS frequency,
            sum(ifNull(net_revenue_micros, 0)) AS monetary_micros
        FROM placed_orders AS orders
        WHERE NOT is_cancelled AND toDate(ordered_at) <= {until:Date}
        GROUP BY profile_id, currency
    )
) AS customer
COMMENT 'rfm(until = \'2024-12-31\'): customers as they stood at the end of that day (UTC), by currency: days since the last order, number of orders, net revenue. Scores from 1 to 5 (best) are quintiles among the customers of the currency; who is equal has the same score. Cancelled orders are left out.';
