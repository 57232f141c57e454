-- Of a period too.
-- Less the columns of `personal`.
CREATE OR REPLACE VIEW analyst_profiles AS
SELECT * EXCEPT (identifiers)
FROM profiles AS person
COMMENT 'profiles without identifiers.';
