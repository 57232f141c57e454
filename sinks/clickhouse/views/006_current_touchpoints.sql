-- Of a period too.
-- Sessions of a person are disjoint, so the session of a touchpoint is the last that had begun, if it had not ended.
-- A touchpoint whose producer's clock runs ahead of ours may lie behind the end of the session it counted to.
-- That is looked up for those people alone whose sessions may have changed since; each of them has a session without an
-- id at the beginning of time, which tells them from others.
CREATE OR REPLACE VIEW current_touchpoints AS
WITH toDateTime64('1900-01-01 00:00:00', 3, 'UTC') AS beginning
SELECT
    touchpoint.* REPLACE (
        multiIf(
            touchpoint.is_late, NULL,
            session.profile_hash = 0, touchpoint.session_id,
            session.session_id != ''
            AND (touchpoint.event_at <= session.ended_at OR touchpoint.session_id = session.session_id),
            session.session_id,
            NULL
        ) AS session_id
    )
FROM touchpoints_once AS touchpoint
ASOF LEFT JOIN
(
    SELECT profile_hash, each.1 AS session_id, each.2 AS started_at, each.3 AS ended_at
    FROM
    (
        SELECT
            person.profile_hash AS profile_hash,
            groupArray((visit.session_id, visit.started_at, visit.ended_at)) AS visits
        FROM
        (
            SELECT sipHash64(profile_id) AS profile_hash, session_id, started_at, ended_at FROM current_sessions
        ) AS visit
        RIGHT JOIN resessioned_profiles AS person ON person.profile_hash = visit.profile_hash
        GROUP BY person.profile_hash
    )
    ARRAY JOIN arrayPushFront(visits, ('', beginning, beginning)) AS each
) AS session
    ON session.profile_hash = sipHash64(touchpoint.profile_id) AND session.started_at <= touchpoint.event_at
COMMENT 'Each touchpoint of a person once, with today\'s profile_id and today\'s session_id (NULL for late ones).';
