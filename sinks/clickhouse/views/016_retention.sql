CREATE OR REPLACE VIEW retention AS
WITH
toInt32(intDiv({days:UInt32}, 28) + 1) AS reach,
bought AS
(
    SELECT DISTINCT profile_hash, toDate(ordered_at) AS day FROM placed_orders AS orders WHERE NOT is_cancelled
),
around AS
(
    SELECT
        profile_hash,
        day,
        arrayJoin(arrayMap(
            step -> addMonths(toStartOfMonth(day), step),
            range(-reach, reach + 1)
        )) AS month
    FROM bought
),
seen AS
(
    SELECT
        profile_hash,
        month,
        max(day < month AND day >= subtractDays(month, {days:UInt32})) AS is_active,
        max(day >= month AND day < addDays(month, {days:UInt32})) AS is_retained
    FROM around
    GROUP BY profile_hash, month
)
SELECT
    month,
    count() AS customers,
    countIf(is_retained) AS retained,
    retained / customers AS retention_rate,
    1 - retention_rate AS churn_rate
FROM seen
WHERE is_active AND addDays(month, {days:UInt32}) <= (SELECT toDate(max(event_at)) + 1 FROM touchpoints)
GROUP BY month
ORDER BY month
COMMENT 'retention(days = 90): for each first of a month (UTC), the customers who ordered within so many days before it, and those of them who ordered again within so many days from it; the others have churned. Months whose days are not over yet are left out. Cancelled orders are left out.';
