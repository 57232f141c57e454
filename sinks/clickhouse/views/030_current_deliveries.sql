-- All records of an action lie in one partition, so that the highest offset of its highest revision is its last one.
CREATE OR REPLACE VIEW current_deliveries AS
SELECT
    record.endpoint AS endpoint,
    record.action_id AS action_id,
    if(moved.profile_id = '', record.profile_id, moved.profile_id) AS profile_id,
    record.revision AS revision,
    record.trigger AS trigger,
    record.step AS step,
    record.status AS status,
    record.outcome AS outcome,
    record.reason AS reason,
    record.attempts AS attempts,
    record.first_attempted_at AS first_attempted_at,
    record.attempted_at AS attempted_at,
    record.latency_ms AS latency_ms,
    record.response_status AS response_status,
    record.retry_at AS retry_at,
    record.is_sent AS is_sent,
    record.idempotency_key AS idempotency_key
FROM
(
    SELECT
        *,
        countIf(attempt > 0) OVER told AS attempts,
        min(attempted_at) OVER told AS first_attempted_at
    FROM deliveries
    WINDOW told AS (PARTITION BY endpoint, action_id, revision)
    ORDER BY endpoint, action_id, revision DESC, _partition DESC, _offset DESC
    LIMIT 1 BY endpoint, action_id
) AS record
LEFT ANY JOIN moved_owners AS moved ON moved.owner_hash = sipHash64(record.profile_id)
COMMENT 'How each endpoint stands to each action: the last word on the highest revision it was told of, or was to be told of. delivered: the receiver answered with success; retrying: it is tried again at retry_at; given_up: it never will be delivered, reason says why; withdrawn: overtaken by a later revision before it was delivered. attempts counts the requests for that revision. Under today\'s profile_id.';
