-- As repeated_touchpoints, among what is a copy of something in order_touchpoints: a tenth of the work.
CREATE OR REPLACE VIEW repeated_order_touchpoints AS
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
        WHERE message_hash IN (SELECT message_hash FROM touchpoints WHERE is_about_order)
        GROUP BY message_hash
        HAVING count() > 1
    )
    GROUP BY if(owner.profile_hash != 0, owner.profile_hash, copy.profile_hash), copy.message_key
    HAVING count() > 1
)
ARRAY JOIN range(2, length(copies) + 1) AS position
COMMENT 'touchpoints.place of each copy of a touchpoint about an order that does not count.';
