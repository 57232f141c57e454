-- Copies of a touchpoint: the same message_id within a person, sent again by a producer or, after a crash, by us.
-- Whose a touchpoint is, the identifier says that it was stitched by: its person of today, after merges and splits.
-- Rows from before it was written have their profile_id alone to go by, which knows of merges.
-- One stays: the one in time before the late ones, then the first that occurred, then the first that was written.
-- Copies are rare, so they are looked for by a hash of the message_id alone before persons are compared.
CREATE OR REPLACE VIEW touchpoints_once AS
SELECT
    touchpoint.* REPLACE (
        multiIf(
            owner.profile_id != '', owner.profile_id,
            former.profile_id != '', former.profile_id,
            touchpoint.profile_id
        ) AS profile_id
    )
FROM touchpoints AS touchpoint
LEFT ANY JOIN current_identities AS owner ON owner.identifier = touchpoint.identified_by
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
        LEFT ANY JOIN current_identities AS has ON has.identifier = copy.identified_by
        LEFT ANY JOIN former_profiles AS was ON was.former_profile_id = copy.profile_id
        WHERE sipHash64(copy.message_id) IN
        (
            SELECT sipHash64(message_id) FROM touchpoints GROUP BY sipHash64(message_id) HAVING count() > 1
        )
        GROUP BY
            multiIf(has.profile_id != '', has.profile_id, was.profile_id != '', was.profile_id, copy.profile_id),
            copy.message_id
        HAVING count() > 1
    )
    ARRAY JOIN range(2, length(copies) + 1) AS position
)
COMMENT 'Each touchpoint of a person once, with today\'s profile_id; session_id as it was when it was stitched.';
