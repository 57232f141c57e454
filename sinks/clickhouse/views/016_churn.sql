CREATE OR REPLACE VIEW churn AS
SELECT
    profile_id,
    min(ordered_at) AS first_order_at,
    max(ordered_at) AS last_order_at,
    count() AS orders,
    dateDiff('day', toDate(last_order_at), {until:Date}) AS days_since_order,
    days_since_order >= {days:UInt32} AS is_churned
FROM placed_orders AS orders
WHERE NOT is_cancelled AND toDate(ordered_at) <= {until:Date}
GROUP BY profile_id
COMMENT 'churn(until = \'2024-12-31\', days = 180): a row a customer as they stood at the end of that day (UTC); churned if the last so many days, that one included, have no order of theirs. The churn rate is avg(is_churned).';
