-- As current_touchpoints, which this is a part of.
CREATE OR REPLACE VIEW current_order_touchpoints AS
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
FROM order_touchpoints AS touchpoint
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
        RIGHT JOIN resessioned_buyers AS person ON person.profile_hash = visit.profile_hash
        GROUP BY person.profile_hash
    )
    ARRAY JOIN arrayPushFront(visits, ('', beginning, beginning)) AS each
) AS session
    ON session.profile_hash = sipHash64(touchpoint.profile_id) AND session.started_at <= touchpoint.event_at
COMMENT 'current_touchpoints that are about an order, a return or a refund.';
