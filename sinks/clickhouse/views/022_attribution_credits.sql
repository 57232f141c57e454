-- Of a period too.
-- Parameters: lookback_days, half_life_days. The credits of an order add up to 1 in each model.
-- Decay counts from the last touchpoint, not from the order: the shares are the same, and never all vanish.
CREATE OR REPLACE VIEW attribution_credits AS
WITH
    counted AS
    (
        SELECT
            *,
            toInt64(length(channels)) AS touches,
            arrayEnumerate(channels) AS positions,
            if(arrayAll(one -> one = 'direct', channels), touches, toInt64(arrayLastIndex(one -> one != 'direct', channels))) AS last_non_direct,
            arrayMap(at -> exp2(-dateDiff('millisecond', at, touched_at[-1]) / 86400000 / greatest({half_life_days:Float64}, 1e-9)), touched_at) AS weights
        FROM journeys(lookback_days = {lookback_days:UInt16})
        WHERE is_converted
    ),
    credited AS
    (
        SELECT
            *,
            [
                ('first', arrayMap(i -> toFloat64(i = 1), positions)),
                ('last', arrayMap(i -> toFloat64(i = touches), positions)),
                ('last_non_direct', arrayMap(i -> toFloat64(i = last_non_direct), positions)),
                ('linear', arrayMap(i -> 1 / touches, positions)),
                ('position', arrayMap(
                    i -> multiIf(touches <= 2, 1 / touches, i = 1 OR i = touches, 0.4, 0.2 / (touches - 2)),
                    positions
                )),
                ('time_decay', arrayMap(weight -> weight / arraySum(weights), weights))
            ] AS models
        FROM counted
    )
SELECT
    each.1 AS model,
    profile_id,
    order_message_id,
    order_id,
    ends_at AS ordered_at,
    touch.1 AS position,
    touch.2 AS channel,
    touch.3 AS touched_at,
    touch.4 AS message_id,
    touch.5 AS campaign,
    touch.6 AS credit,
    touch.6 * revenue_micros AS revenue_micros,
    currency
FROM credited
ARRAY JOIN models AS each
ARRAY JOIN arrayZip(positions, channels, credited.touched_at, message_ids, campaigns, each.2) AS touch
WHERE touch.6 > 0
COMMENT 'Which part of an order each marketing touchpoint of its journey is credited with, by model: first, last, last_non_direct, linear (equal parts), position (40 % first, 40 % last, 20 % those between; half each of two), time_decay (half as much for each half_life_days earlier). Parameters: lookback_days, half_life_days.';
