CREATE OR REPLACE VIEW customer_history AS
SELECT
    profile_id,
    currency,
    count() - 1 AS frequency,
    dateDiff('day', min(day), max(day)) / 7 AS recency_weeks,
    dateDiff('day', min(day), {until:Date}) / 7 AS age_weeks,
    if(frequency = 0, 0, (sum(spent_micros) - argMin(spent_micros, day)) / nullIf(frequency, 0)) AS monetary_micros
FROM
(
    SELECT profile_id, currency, toDate(ordered_at) AS day, sum(ifNull(net_revenue_micros, 0)) AS spent_micros
    FROM placed_orders AS orders
    WHERE NOT is_cancelled AND toDate(ordered_at) <= {until:Date}
    GROUP BY profile_id, currency, day
)
GROUP BY profile_id, currency
COMMENT 'customer_history(until = \'2024-12-31\'): what models of customer lifetime value need, a row a customer and currency at the end of that day (UTC). frequency: days with a purchase after the first such day; recency_weeks: from the first to the last of them; age_weeks: from the first to the day asked for; monetary_micros: mean net revenue of the repeat days, 0 without any.';
