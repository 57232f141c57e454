-- As touchpoints_once. Copies of what is in the period may lie outside it, so they are looked for everywhere, but only they.
CREATE OR REPLACE VIEW touchpoints_between AS
WITH
    toDateTime64({since:Date}, 3, 'UTC') AS first_at,
    toDateTime64({until:Date} + 1, 3, 'UTC') AS end_at
SELECT
    touchpoint.* REPLACE (if(owner.profile_id != '', owner.profile_id, touchpoint.profile_id) AS profile_id)
FROM touchpoints AS touchpoint
LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = touchpoint.owner_hash
WHERE touchpoint.event_at >= first_at AND touchpoint.event_at < end_at
    AND touchpoint.place NOT IN
    (
        SELECT copies[position].5
        FROM
        (
            SELECT
                arraySort(groupArray((copy.is_late, copy.event_at, copy._partition, copy._offset, copy.place))) AS copies
            FROM touchpoints AS copy
            LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = copy.owner_hash
            WHERE copy.message_hash IN
            (
                SELECT message_hash
                FROM touchpoints
                WHERE message_hash IN (SELECT message_hash FROM touchpoints WHERE event_at >= first_at AND event_at < end_at)
                GROUP BY message_hash
                HAVING count() > 1
            )
            GROUP BY if(owner.profile_hash != 0, owner.profile_hash, copy.profile_hash), copy.message_key
            HAVING count() > 1
        )
        ARRAY JOIN range(2, length(copies) + 1) AS position
    )
COMMENT 'touchpoints_between(since = \'2025-06-01\', until = \'2025-06-30\'): touchpoints_once whose event time lies in these days (UTC), both included.';
