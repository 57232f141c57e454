-- Of a period too.
-- What an answer is about tells whether another one stands in its place.
CREATE OR REPLACE VIEW surveys AS
SELECT
    *,
    row_number() OVER (
        PARTITION BY profile_id, survey_id, kind, question_id,
            multiIf(
                ifNull(order_id, '') != '', ('order_id', assumeNotNull(order_id)),
                ticket_id != '', ('ticket_id', ticket_id),
                conversation_id != '', ('conversation_id', conversation_id),
                ('month', toString(toStartOfMonth(answered_at)))
            )
        ORDER BY answered_at DESC, message_id DESC
    ) = 1 AS is_latest
FROM
(
    SELECT
        anyLast(said.response_id) AS response_id,
        argMax(said.message_id, said.place) AS message_id,
        argMax(said.profile_id, said.place) AS profile_id,
        argMax(said.survey_id, said.place) AS survey_id,
        argMax(said.survey_name, said.place) AS survey_name,
        argMax(said.kind, said.place) AS kind,
        argMax(said.question_id, said.place) AS question_id,
        argMax(said.question, said.place) AS question,
        argMax(tuple(said.order_id), said.place).1 AS order_id,
        argMax(said.ticket_id, said.place) AS ticket_id,
        argMax(said.conversation_id, said.place) AS conversation_id,
        max(said.event_at) AS answered_at,
        argMax(tuple(said.score), said.place).1 AS score,
        argMax(tuple(said.score_max), said.place).1 AS score_max,
        argMax(said.comment, said.place) AS comment,
        count() AS answers
    FROM
    (
        SELECT
            (event_at, message_id) AS place, event_at, message_id, profile_id, response_id, survey_id, survey_name,
            question_id, question, order_id, ticket_id, conversation_id, comment, score_max,
            lower(if(survey_kind = '', properties['kind'], survey_kind)) AS kind,
            coalesce(told.score, toInt64OrNull(properties['score'])) AS score
        FROM contact_touchpoints AS told
        WHERE channel = 'survey' AND event = 'Survey Answered'
    ) AS said
    GROUP BY
        if(said.response_id = '', (said.profile_id, said.message_id), ('', said.response_id)), said.question_id
) AS answer
COMMENT 'Each answer to a survey once, by response_id and question; given twice, the latest stands. is_latest: no later response of the person to the same question about the same order, ticket or conversation, or, where it is about none of these, in the same calendar month; key figures count these alone.';
