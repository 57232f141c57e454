-- Of a period too.
-- Less the columns of `personal`.
CREATE OR REPLACE VIEW analyst_surveys AS
SELECT * EXCEPT (comment)
FROM surveys AS answer
COMMENT 'surveys without what the customer wrote.';
