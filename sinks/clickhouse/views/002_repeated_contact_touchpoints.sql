-- As repeated_touchpoints, among what is a copy of something in contact_touchpoints.
CREATE OR REPLACE VIEW repeated_contact_touchpoints AS
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
        WHERE message_hash IN (SELECT message_hash FROM touchpoints WHERE channel IN ('email', 'sms', 'push', 'support', 'loyalty', 'survey'))
        GROUP BY message_hash
        HAVING count() > 1
    )
    GROUP BY if(owner.profile_hash != 0, owner.profile_hash, copy.profile_hash), copy.message_key
    HAVING count() > 1
)
ARRAY JOIN range(2, length(copies) + 1) AS position
COMMENT 'touchpoints.place of each copy of a message, ticket, answer or move of points that does not count.';
