CREATE OR REPLACE VIEW kpi_variants AS
WITH
placed AS
(
    SELECT profile_id, argMin(variant, (due_at, action_id)) AS variant, min(due_at) AS since
    FROM current_actions
    WHERE isNotNull(current_actions.variant) AND status != 'cancelled'
    GROUP BY profile_id
),
people AS
(
    SELECT placed.variant AS variant, count() AS users FROM placed GROUP BY placed.variant
),
sold AS
(
    SELECT
        placed.variant AS variant,
        orders.currency AS currency,
        count() AS orders,
        uniqExact(orders.profile_hash) AS customers,
        sum(ifNull(orders.net_revenue_micros, 0)) AS net_revenue_micros
    FROM placed_orders AS orders
    INNER JOIN placed ON placed.profile_id = orders.profile_id
    WHERE NOT orders.is_cancelled AND orders.ordered_at > placed.since
        AND orders.ordered_at <= addDays(placed.since, {days:UInt32})
    GROUP BY placed.variant, orders.currency
)
SELECT
    people.variant AS variant,
    people.users AS users,
    sold.currency AS currency,
    sold.customers AS customers,
    sold.orders AS orders,
    sold.net_revenue_micros AS net_revenue_micros,
    sold.customers / people.users AS buyer_share,
    sold.net_revenue_micros / people.users AS revenue_per_user_micros
FROM people
LEFT JOIN sold ON sold.variant = people.variant
COMMENT 'kpi_variants(days = 30): experiment variants by person, the first they were in. Orders count from the moment their first action was due to so many days later; revenue per user is by person of the variant, whether they bought or not.';
