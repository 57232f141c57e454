-- Of a period too.
-- Parameter: lookback_days. Orders are those of the view of that name, so that a sale counts once here as there. The
-- touchpoint of an order belongs to the journey where it says how the person came. Orders in between cut nothing.
CREATE OR REPLACE VIEW journeys AS
WITH
    came AS
    (
        SELECT
            profile_id,
            arraySort(groupArray((event_at, message_id, marketing_channel, campaign_name))) AS touches
        FROM marketing_touchpoints
        GROUP BY profile_id
    ),
    ordered AS
    (
        SELECT
            profile_id,
            arraySort(groupArray((ordered_at, message_id, order_id, revenue_micros, ifNull(currency, '')))) AS ends
        FROM placed_orders AS orders
        WHERE NOT is_cancelled /* period: AND ordered_at >= {begin} AND ordered_at < {end} */
        GROUP BY profile_id
    ),
    persons AS
    (
        SELECT
            if(came.profile_id = '', ordered.profile_id, came.profile_id) AS profile_id,
            touches,
            ends,
            if(empty(ends), toDateTime64(0, 3, 'UTC'), ends[-1].1) AS last_ordered_at
        FROM came
        FULL OUTER JOIN ordered ON ordered.profile_id = came.profile_id
    ),
    windows AS
    (
        SELECT
            profile_id,
            toBool(order.2 != '') AS is_converted,
            order.1 AS ends_at,
            order.2 AS order_message_id,
            order.3 AS order_id,
            order.4 AS revenue_micros,
            order.5 AS currency,
            arrayFilter(
                touch -> touch.1 <= ends_at AND touch.1 >= ends_at - toIntervalDay({lookback_days:UInt16})
                    AND (is_converted OR touch.1 > last_ordered_at),
                touches
            ) AS found
        FROM persons
        ARRAY JOIN arrayConcat(
            ends,
            if(
                empty(touches) OR touches[-1].1 <= last_ordered_at,
                [],
                [(touches[-1].1, '', NULL, NULL, '')]
            )
        ) AS order
    )
SELECT
    profile_id,
    is_converted,
    ends_at,
    order_message_id,
    order_id,
    revenue_micros,
    currency,
    if(empty(found), [ends_at], found.1) AS touched_at,
    if(empty(found), [''], found.2) AS message_ids,
    if(empty(found), ['direct'], found.3) AS channels,
    if(empty(found), [''], found.4) AS campaigns
FROM windows AS journey
COMMENT 'How persons came before each order that was not cancelled (is_converted, ending with it), and what each person has done since the last order without another: marketing channels and names of campaigns in order of time, at most lookback_days before the end. An order that nothing came before is direct, without a message_id. Parameter: lookback_days.';
