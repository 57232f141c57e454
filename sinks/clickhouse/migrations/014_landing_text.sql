-- Text lands as text. While rows are read one by one, looking each value up in a dictionary took as long as all the rest;
-- touchpoints keeps its dictionaries, and the view behind the landing table fills them a column at a time.
ALTER TABLE touchpoints_landing
    MODIFY COLUMN `record.Any.type` String,
    MODIFY COLUMN `record.Any.event` String,
    MODIFY COLUMN `record.Any.channel` String,
    MODIFY COLUMN `record.Any.identifiers` Map(String, String),
    MODIFY COLUMN `record.Any.currency` Nullable(String),
    MODIFY COLUMN `record.Any.properties` Map(String, String);
