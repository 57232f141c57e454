-- Of a period too.
-- Records may be on the wire twice; a session_id has one row here, its highest revision.
CREATE OR REPLACE VIEW current_sessions AS
SELECT
    record.session_id AS session_id,
    if(moved.profile_id = '', record.profile_id, moved.profile_id) AS profile_id,
    record.revision AS revision,
    record.started_at AS started_at,
    record.ended_at AS ended_at,
    record.touchpoints AS touchpoints,
    record.channels AS channels,
    record.orders AS orders,
    record.revenue_micros AS revenue_micros,
    record.is_final AS is_final,
    record.revenue AS revenue,
    record.is_bounce AS is_bounce,
    record.is_engaged AS is_engaged,
    record.path AS path,
    record.is_path_cut AS is_path_cut,
    record.events AS events,
    record.first_campaign AS first_campaign,
    record.last_campaign AS last_campaign
FROM sessions AS record
LEFT ANY JOIN moved_owners AS moved ON moved.owner_hash = sipHash64(record.profile_id)
WHERE record.place IN
    (
        SELECT argMax(place, revision)
        FROM sessions
        /* period: WHERE session_hash IN (SELECT session_hash FROM sessions WHERE started_at < {end} AND ended_at >= {begin}) */
        GROUP BY session_hash
    )
    AND NOT record.is_retracted /* period: AND record.started_at < {end} AND record.ended_at >= {begin} */
COMMENT 'Sessions as they stand: highest revision, nothing retracted, today\'s profile_id.';
