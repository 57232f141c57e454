-- Sessions of a person are disjoint, so the session of a touchpoint is the last that had begun, if it had not ended.
-- A touchpoint whose producer's clock runs ahead of ours may lie behind the end of the session it counted to.
CREATE OR REPLACE VIEW current_touchpoints AS
SELECT
    touchpoint.* REPLACE (
        if(
            NOT touchpoint.is_late AND session.session_id != ''
            AND (touchpoint.event_at <= session.ended_at OR touchpoint.session_id = session.session_id),
            session.session_id,
            NULL
        ) AS session_id
    )
FROM touchpoints_once AS touchpoint
ASOF LEFT JOIN current_sessions AS session
    ON session.profile_id = touchpoint.profile_id AND session.started_at <= touchpoint.event_at
COMMENT 'Each touchpoint of a person once, with today\'s profile_id and today\'s session_id (NULL for late ones).';
