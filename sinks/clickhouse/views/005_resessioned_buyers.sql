-- As resessioned_profiles, as far as order_touchpoints go.
CREATE OR REPLACE VIEW resessioned_buyers AS
SELECT sipHash64(belongs.profile_id) AS profile_hash FROM moved_owners AS belongs
UNION DISTINCT
SELECT sipHash64(if(owner.profile_id != '', owner.profile_id, touchpoint.profile_id)) AS profile_hash
FROM
(
    SELECT profile_id, owner_hash
    FROM touchpoints
    WHERE NOT is_late
        AND (event IN ('Order Completed', 'Order Refunded') OR is_return OR order_id != '')
        AND (
            session_hash NOT IN
            (
                SELECT session_hash FROM sessions
                WHERE session_hash IN (SELECT session_hash FROM touchpoints WHERE event IN ('Order Completed', 'Order Refunded') OR is_return OR order_id != '')
            )
            OR session_hash IN (SELECT session_hash FROM sessions WHERE is_retracted)
        )
) AS touchpoint
LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = touchpoint.owner_hash
COMMENT 'Hashes of those of today\'s profiles whose touchpoints about orders may have another session than the one they were written with.';
