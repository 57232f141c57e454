-- Of a period too.
CREATE OR REPLACE VIEW kpi_surveys AS
SELECT
    toStartOfMonth(answered_at) AS month,
    kind,
    survey_id,
    question_id,
    count() AS answers,
    avg(score) AS mean_score,
    if(kind = 'nps', 100 * (countIf(score >= 9) - countIf(score <= 6)) / count(), NULL) AS nps,
    if(kind = 'csat', countIf(score >= ifNull(score_max, 5) - 1) / count(), NULL) AS csat
FROM surveys
WHERE is_latest AND isNotNull(score)
GROUP BY month, kind, survey_id, question_id
COMMENT 'Surveys by month of the answer (UTC), latest answers alone. NPS: percentage of 9 and 10 less percentage of 0 to 6, from -100 to 100. CSAT: share of the two highest scores of the scale (4 and 5 of 5 where none is told), top-2-box; mean_score beside it.';
