-- Of a period too.
CREATE OR REPLACE VIEW kpi_conversion AS
SELECT
    toDate(started_at) AS day,
    arrayJoin(arrayConcat(arrayDistinct(channels), ['all'])) AS channel,
    count() AS sessions,
    countIf(orders > 0) AS sessions_with_order,
    sessions_with_order / sessions AS conversion_rate
FROM current_sessions
GROUP BY day, channel
COMMENT 'Share of sessions with an order, by day they began (UTC) and channel. A session across channels counts once under each of them and once under all; so the channels add up to more than all.';
