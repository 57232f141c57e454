-- Of a period too.
CREATE OR REPLACE VIEW profiles AS
/* period: WITH people AS
(
    SELECT if(owner.profile_id != '', owner.profile_id, here.profile_id)
    FROM touchpoints AS here
    LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = here.owner_hash
    WHERE here.event_at >= {begin} AND here.event_at < {end}
) */
SELECT
    seen.profile_id AS profile_id,
    belongs.identifiers AS identifiers,
    seen.first_seen_at AS first_seen_at,
    seen.last_seen_at AS last_seen_at,
    seen.touchpoints AS touchpoints,
    visits.sessions AS sessions,
    seen.orders AS orders,
    seen.revenue_micros AS revenue_micros,
    seen.channels AS channels
FROM
(
    SELECT
        profile_id,
        min(event_at) AS first_seen_at,
        max(event_at) AS last_seen_at,
        count() AS touchpoints,
        countIf(event = 'Order Completed' AND NOT is_return) AS orders,
        sumIf(ifNull(said.revenue_micros, 0), event = 'Order Completed' AND NOT is_return) AS revenue_micros,
        arraySort(groupUniqArray(channel)) AS channels
    FROM touchpoints_once AS said
    GROUP BY profile_id
) AS seen
LEFT JOIN
(
    SELECT profile_id, count() AS sessions FROM current_sessions GROUP BY profile_id
) AS visits ON visits.profile_id = seen.profile_id
LEFT JOIN
(
    SELECT profile_id, arraySort(groupArray(identifier)) AS identifiers
    FROM current_identities
    /* period: WHERE identifier IN
    (
        SELECT identifier
        FROM identities
        WHERE profile_id IN people
            OR identifier_hash IN (SELECT identifier_hash FROM moved_identifiers WHERE profile_id IN people)
    ) */
    GROUP BY profile_id
) AS belongs ON belongs.profile_id = seen.profile_id
COMMENT 'One row a person of today: what identifies them, when and where they were seen, what they bought (returns are in refunds).';
