-- Copies of a touchpoint: the same message_id within a person, sent again by a producer or, after a crash, by us.
-- One stays: the one in time before the late ones, then the first that occurred, then the first that was written.
-- Copies are rare, so they are looked for by a hash of the message_id alone before persons are compared.
CREATE OR REPLACE VIEW repeated_touchpoints AS
SELECT copies[position].5 AS place
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
        GROUP BY message_hash
        HAVING count() > 1
    )
    GROUP BY if(owner.profile_hash != 0, owner.profile_hash, copy.profile_hash), copy.message_key
    HAVING count() > 1
)
ARRAY JOIN range(2, length(copies) + 1) AS position
COMMENT 'touchpoints.place of each copy that does not count.';
