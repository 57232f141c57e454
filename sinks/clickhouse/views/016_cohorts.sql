-- Month 0 of a cohort is all of it, and the last month known is the last that anybody ordered in.
CREATE OR REPLACE VIEW cohorts AS
SELECT
    cohort,
    known.month AS month,
    customers,
    known.active AS active,
    active / customers AS active_share
FROM
(
    SELECT
        cohort,
        groupArray((month, buyers)) AS found,
        arrayFirst(one -> one.1 = 0, found).2 AS customers,
        max(max(addMonths(cohort, month))) OVER () AS last_month,
        arrayMap(
            each -> (toUInt32(each), arrayFirst(one -> one.1 = each, found).2),
            range(toUInt32(dateDiff('month', cohort, last_month) + 1))
        ) AS months
    FROM
    (
        SELECT cohort, dateDiff('month', cohort, toDate(ordered_at)) AS month, uniqExact(profile_hash) AS buyers
        FROM
        (
            SELECT
                profile_hash,
                ordered_at,
                toStartOfMonth(min(ordered_at) OVER (PARTITION BY profile_hash)) AS cohort
            FROM placed_orders
            WHERE NOT is_cancelled
        )
        GROUP BY cohort, month
    )
    GROUP BY cohort
)
ARRAY JOIN arrayMap(each -> CAST(each, 'Tuple(month UInt32, active UInt64)'), months) AS known
ORDER BY cohort, month
COMMENT 'Customers by month (UTC) of their first order, and how many of them ordered in the month that many months later; month 0 is the first itself, so everybody, and the last one known may not be over. Cancelled orders are left out.';
