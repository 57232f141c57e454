-- Of a period too.
-- As resessioned_profiles, as far as touchpoints about orders go.
CREATE OR REPLACE VIEW resessioned_buyers AS
SELECT DISTINCT if(owner.profile_hash != 0, owner.profile_hash, record.profile_hash) AS profile_hash
FROM
(
    SELECT profile_hash, owner_hash FROM changed_profiles
    UNION ALL
    SELECT profile_hash, owner_hash
    FROM order_records
    WHERE NOT is_late /* period: AND event_at >= {begin} AND event_at < {end} */
        AND (
            session_hash NOT IN
            (
                SELECT session_hash
                FROM sessions
                WHERE session_hash IN
                (
                    SELECT session_hash
                    FROM order_records /* period: WHERE event_at >= {begin} AND event_at < {end} */
                )
            )
            OR session_hash IN (SELECT session_hash FROM sessions WHERE is_retracted)
        )
) AS record
LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = record.owner_hash
/* period: WHERE if(owner.profile_hash != 0, owner.profile_hash, record.profile_hash) IN
(
    SELECT if(owner.profile_hash != 0, owner.profile_hash, here.profile_hash)
    FROM order_records AS here
    LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = here.owner_hash
    WHERE here.event_at >= {begin} AND here.event_at < {end}
) */
COMMENT 'Hashes of those of today\'s profiles whose touchpoints about orders may have another session than the one they were written with.';
