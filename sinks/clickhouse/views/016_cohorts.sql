CREATE OR REPLACE VIEW cohorts AS
WITH
bought AS
(
    SELECT
        profile_id,
        ordered_at,
        toStartOfMonth(min(ordered_at) OVER (PARTITION BY profile_id)) AS cohort
    FROM orders
    WHERE NOT is_cancelled
),
sizes AS
(
    SELECT cohort, uniqExact(profile_id) AS customers FROM bought GROUP BY cohort
),
active AS
(
    SELECT cohort, dateDiff('month', cohort, toDate(ordered_at)) AS month, uniqExact(profile_id) AS customers
    FROM bought
    GROUP BY cohort, month
),
months AS
(
    SELECT
        cohort,
        customers,
        arrayJoin(range(toUInt32(dateDiff('month', cohort, (SELECT max(toDate(ordered_at)) FROM bought)) + 1))) AS month
    FROM sizes
)
SELECT
    months.cohort AS cohort,
    months.month AS month,
    months.customers AS customers,
    active.customers AS active,
    active / customers AS active_share
FROM months
LEFT JOIN active ON active.cohort = months.cohort AND active.month = months.month
ORDER BY cohort, month
COMMENT 'Customers by month (UTC) of their first order, and how many of them ordered in the month that many months later; month 0 is the first itself, so everybody, and the last one known may not be over. Cancelled orders are left out.';
