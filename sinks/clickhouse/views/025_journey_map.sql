-- Of a period too.
-- Parameter: lookback_days. Step 0 leads from (start); who orders ends in (order), who has not so far in (none).
CREATE OR REPLACE VIEW journey_map AS
SELECT
    edge.1 AS step,
    edge.2 AS from_channel,
    edge.3 AS to_channel,
    count() AS journeys,
    countIf(is_converted) AS converted,
    uniqExact(profile_id) AS persons
FROM journeys(lookback_days = {lookback_days:UInt16})
ARRAY JOIN arrayZip(
    range(toUInt64(0), length(channels) + 1),
    arrayConcat(['(start)'], channels),
    arrayConcat(channels, [if(is_converted, '(order)', '(none)')])
) AS edge
GROUP BY step, from_channel, to_channel
COMMENT 'How journeys go from one marketing channel to the next, step by step from (start) to (order) or, without one so far, (none): how many journeys and persons, and how many of the journeys ended with an order. Parameter: lookback_days.';
