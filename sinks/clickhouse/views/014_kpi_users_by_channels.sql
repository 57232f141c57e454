-- Of a period too.
CREATE OR REPLACE VIEW kpi_users_by_channels AS
WITH
used AS
(
    SELECT
        profile_id,
        multiIf(
            hasAny(channels, ['pos', 'store']) AND hasAny(channels, ['web', 'app']), 'store and online',
            hasAny(channels, ['pos', 'store']), 'store only',
            hasAny(channels, ['web', 'app']), 'online only',
            'neither'
        ) AS channel_group
    FROM
    (
        SELECT profile_id, groupUniqArray(channel) AS channels FROM touchpoints_once GROUP BY profile_id
    )
),
people AS
(
    SELECT channel_group, count() AS users FROM used GROUP BY channel_group
),
sold AS
(
    SELECT
        used.channel_group AS channel_group,
        orders.currency AS currency,
        count() AS orders,
        uniqExact(orders.profile_hash) AS customers,
        sum(ifNull(orders.net_revenue_micros, 0)) AS net_revenue_micros
    FROM placed_orders AS orders
    INNER JOIN used ON used.profile_id = orders.profile_id
    WHERE NOT orders.is_cancelled /* period: AND orders.ordered_at >= {begin} AND orders.ordered_at < {end} */
    GROUP BY used.channel_group, orders.currency
)
SELECT
    people.channel_group AS channel_group,
    people.users AS users,
    sold.currency AS currency,
    sold.customers AS customers,
    sold.orders AS orders,
    sold.net_revenue_micros AS net_revenue_micros,
    sold.customers / people.users AS buyer_share,
    sold.net_revenue_micros / people.users AS revenue_per_user_micros,
    sold.net_revenue_micros / nullIf(sold.orders, 0) AS net_aov_micros
FROM people
LEFT JOIN sold ON sold.channel_group = people.channel_group
COMMENT 'People by where they were ever seen: in a store (pos, store), online (web, app), both or neither (say, only written to). Revenue per user is net revenue by person of the group, whether they bought or not; a row a currency.';
