CREATE OR REPLACE VIEW current_customer_values AS
WITH runs AS
(
    SELECT ifNull(customer_values.currency, '') AS run_currency, max(computed_at) AS last_at
    FROM customer_values
    GROUP BY run_currency
)
SELECT
    if(moved.profile_id = '', record.profile_id, moved.profile_id) AS profile_id,
    record.currency AS currency,
    any(record.until) AS until,
    any(record.horizon_weeks) AS horizon_weeks,
    1 - exp(sum(log(greatest(1 - record.alive, 1e-300)))) AS alive,
    sum(record.expected_orders) AS expected_orders,
    sum(record.expected_value_micros) AS expected_value_micros,
    count() AS was_people,
    any(record.computed_at) AS computed_at
FROM customer_values AS record
INNER JOIN runs ON runs.run_currency = ifNull(record.currency, '') AND runs.last_at = record.computed_at
LEFT ANY JOIN moved_owners AS moved ON moved.owner_hash = sipHash64(record.profile_id)
GROUP BY profile_id, currency
COMMENT 'What customers are expected to order and be worth, by the last run of throughline clv for each currency, under today\'s profile_id. Where several people of that run have become one since (was_people), expectations are added up, and the person is a customer if any of them is, until the next run.';
