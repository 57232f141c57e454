-- Of a period too.
CREATE OR REPLACE VIEW tickets AS
WITH
    (said.event_at, said.message_id) AS place,
    said.event = 'Ticket Solved' OR said.is_resolved OR said.ticket_status IN ('solved', 'closed') AS is_solution
SELECT
    said.ticket_id AS ticket_id,
    argMin(said.profile_id, place) AS profile_id,
    argMaxIf(said.ticket_category, place, said.ticket_category != '') AS category,
    argMaxIf(said.ticket_priority, place, said.ticket_priority != '') AS priority,
    min(said.event_at) AS opened_at,
    maxOrNullIf(said.event_at, is_solution) AS last_solution_at,
    maxOrNullIf(
        said.event_at, said.event = 'Ticket Opened' OR said.ticket_status IN ('new', 'open', 'pending')
    ) AS last_open_at,
    if(last_open_at > last_solution_at, NULL, last_solution_at) AS solved_at,
    dateDiff('second', opened_at, solved_at) AS resolution_s,
    countIf(said.is_escalated) > 0 AS is_escalated,
    count() AS touchpoints
FROM contact_touchpoints AS said
WHERE said.channel = 'support' AND said.ticket_id != ''
GROUP BY said.ticket_id
COMMENT 'Each support ticket once, by ticket_id. solved_at is the last time it was said to be solved, closed or resolved, NULL if it is open or was opened again since; resolution_s is from the first touchpoint of the ticket to that, waiting included.';
