-- Why each record of identities was written. Records of before have no rule and NULL for the rest.
ALTER TABLE identities
    ADD COLUMN IF NOT EXISTS linked_to Nullable(String) COMMENT 'The identifier through which it came, type:value: that of the touchpoint whose profile took it.' AFTER decided_at,
    ADD COLUMN IF NOT EXISTS other_profile_id Nullable(String) COMMENT 'The other side of a merge, refusal, release or split.' AFTER linked_to,
    ADD COLUMN IF NOT EXISTS rule LowCardinality(String) COMMENT 'Rule that decided, by its short and stable name, as in \'seen together\', \'limit user_id 1\' or operator.' AFTER other_profile_id,
    ADD COLUMN IF NOT EXISTS decided_by Nullable(String) COMMENT 'Operator of an explicit act.' AFTER rule,
    ADD COLUMN IF NOT EXISTS reason Nullable(String) COMMENT 'Why, in the operator\'s words.' AFTER decided_by,
    ADD COLUMN IF NOT EXISTS linked_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time of the touchpoint that caused it.' AFTER reason,
    COMMENT COLUMN kind 'created, stitched, merged, released and split place the identifier; refused, blocked and shared move nothing.',
    MODIFY COMMENT 'Where each identifier belongs and why, as a log: its last record of a kind that places it holds; current_identities shows it.';
