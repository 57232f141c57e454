-- Of a period too.
CREATE OR REPLACE VIEW kpi_tickets AS
SELECT
    toStartOfMonth(opened_at) AS month,
    category,
    count() AS tickets,
    countIf(isNotNull(solved_at)) AS solved,
    countIf(is_escalated) AS escalated,
    avgOrNull(resolution_s) / 3600 AS mean_resolution_h,
    quantileExactInclusiveOrNull(0.5)(resolution_s) / 3600 AS median_resolution_h,
    quantileExactInclusiveOrNull(0.9)(resolution_s) / 3600 AS p90_resolution_h
FROM tickets
GROUP BY month, category
COMMENT 'Support tickets by month they were opened (UTC) and category. Resolution time, in hours by the calendar, is from the first touchpoint of a ticket to its last solution, of tickets that are solved; open ones have none yet.';
