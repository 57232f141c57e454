-- Who bought first only a short time ago cannot have come back after 90 days: such people are not counted against it.
CREATE OR REPLACE VIEW kpi_repeat_purchase AS
WITH (SELECT max(event_at) FROM touchpoints) AS known_until
SELECT
    toStartOfMonth(first_at) AS month,
    count() AS customers,
    countIf(isNotNull(days_to_second)) AS with_second_order,
    countIf(addDays(first_at, 30) <= known_until) AS observed_30_days,
    countIf(addDays(first_at, 30) <= known_until AND days_to_second <= 30) AS repeated_30_days,
    repeated_30_days / nullIf(observed_30_days, 0) AS repeat_rate_30_days,
    countIf(addDays(first_at, 90) <= known_until) AS observed_90_days,
    countIf(addDays(first_at, 90) <= known_until AND days_to_second <= 90) AS repeated_90_days,
    repeated_90_days / nullIf(observed_90_days, 0) AS repeat_rate_90_days,
    avgOrNull(days_to_second) AS mean_days_to_second,
    quantileExactInclusiveOrNull(0.5)(days_to_second) AS median_days_to_second
FROM
(
    SELECT
        profile_hash,
        minIf(ordered_at, order_number = 1) AS first_at,
        minOrNullIf(ordered_at, order_number = 2) AS second_at,
        dateDiff('millisecond', first_at, second_at) / 86400000 AS days_to_second
    FROM placed_orders AS orders
    WHERE NOT is_cancelled
    GROUP BY profile_hash
)
GROUP BY month
COMMENT 'Second purchases by month (UTC) of the first order, cancelled orders left out. Repeat rate within 30 or 90 days: of the customers whose first order is at least that long before the last touchpoint that is known, those who ordered again by then. Days to the second order: of those who have one.';
