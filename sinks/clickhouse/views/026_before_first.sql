-- Of a period too.
-- Parameter: event, as in 'Signed Up' or 'Order Completed'. At the same moment the lower message_id came first.
CREATE OR REPLACE VIEW before_first AS
WITH
    reached AS
    (
        SELECT profile_id, min((event_at, message_id)) AS moment
        FROM touchpoints_once
        WHERE event = {event:String}
        GROUP BY profile_id
    ),
    came AS
    (
        SELECT profile_id, arraySort(groupArray((event_at, message_id, marketing_channel))) AS touches
        FROM marketing_touchpoints
        GROUP BY profile_id
    ),
    seen AS
    (
        SELECT
            touchpoint.profile_id AS profile_id,
            any(reached.moment) AS moment,
            min(touchpoint.event_at) AS first_seen_at,
            countIf((touchpoint.event_at, touchpoint.message_id) < reached.moment) AS touchpoints,
            arraySort(groupUniqArrayIf(
                touchpoint.channel, (touchpoint.event_at, touchpoint.message_id) < reached.moment
            )) AS channels
        FROM touchpoints_once AS touchpoint
        INNER JOIN reached ON reached.profile_id = touchpoint.profile_id
        GROUP BY touchpoint.profile_id
    )
SELECT
    seen.profile_id AS profile_id,
    seen.moment.1 AS reached_at,
    seen.moment.2 AS message_id,
    seen.first_seen_at AS first_seen_at,
    dateDiff('millisecond', seen.first_seen_at, reached_at) / 86400000 AS days,
    seen.touchpoints AS touchpoints,
    seen.channels AS channels,
    arrayMap(touch -> touch.3, arrayFilter(touch -> touch.1 <= reached_at, came.touches)) AS marketing_channels
FROM seen
LEFT ANY JOIN came ON came.profile_id = seen.profile_id
COMMENT 'One row a person who ever did the event: when first, how many touchpoints, channels of ours and days came before it, and through which marketing channels, in order of time. Parameter: event, as in Signed Up or Order Completed.';
