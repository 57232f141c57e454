-- Of a period too.
-- Sessions from before they had a path are not here, nor those that may still change, which have none yet.
CREATE OR REPLACE VIEW paths AS
SELECT
    toDate(started_at) AS day,
    edge.1 AS step,
    edge.2 AS from_step,
    edge.3 AS to_step,
    splitByChar(':', from_step)[1] AS from_channel,
    splitByChar(':', to_step)[1] AS to_channel,
    count() AS sessions,
    countIf(orders > 0) AS with_order
FROM
(
    SELECT started_at, orders, is_path_cut, arrayCompact(arrayMap(each -> toString(each), path)) AS steps
    FROM current_sessions
    WHERE is_final AND notEmpty(path)
)
ARRAY JOIN arrayZip(
    range(toUInt64(0), length(steps) + 1),
    arrayConcat(['(start)'], steps),
    arrayConcat(steps, [if(is_path_cut, '(more)', '(end)')])
) AS edge
GROUP BY day, step, from_step, to_step
COMMENT 'How sessions go from one step (channel:event) to the next, from (start) to (end), or (more) where a session has more steps than are kept, by day they began (UTC) and place of the step in the session: how many sessions, and how many of these have an order. A step that comes again at once is one. Where from_channel and to_channel differ, people changed the channel within a session. Only sessions that nothing on time can change any more.';
