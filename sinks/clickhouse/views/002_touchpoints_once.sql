-- Copies of a touchpoint: the same message_id within a person, sent again by a producer or, after a crash, by us.
-- One stays: the one in time before the late ones, then the first that occurred, then the first that was written.
-- Copies are rare, so they are looked for by a hash of the message_id alone before persons are compared.
CREATE OR REPLACE VIEW touchpoints_once AS
SELECT
    touchpoint.* REPLACE (
        if(former.profile_id = '', touchpoint.profile_id, former.profile_id) AS profile_id
    )
FROM touchpoints AS touchpoint
LEFT ANY JOIN former_profiles AS former ON former.former_profile_id = touchpoint.profile_id
WHERE (touchpoint._partition, touchpoint._offset) NOT IN
(
    SELECT
        (copies[position].3, copies[position].4)
    FROM
    (
        SELECT
            arraySort(groupArray((copy.is_late, copy.event_at, copy._partition, copy._offset))) AS copies
        FROM touchpoints AS copy
        LEFT ANY JOIN former_profiles AS was ON was.former_profile_id = copy.profile_id
        WHERE sipHash64(copy.message_id) IN
        (
            SELECT sipHash64(message_id) FROM touchpoints GROUP BY sipHash64(message_id) HAVING count() > 1
        )
        GROUP BY
            if(was.profile_id = '', copy.profile_id, was.profile_id),
            copy.message_id
        HAVING count() > 1
    )
    ARRAY JOIN range(2, length(copies) + 1) AS position
)
COMMENT 'Each touchpoint of a person once, with today\'s profile_id; session_id as it was when it was stitched.';
