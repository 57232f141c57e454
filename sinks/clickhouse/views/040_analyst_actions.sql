-- Less the columns of `personal`.
CREATE OR REPLACE VIEW analyst_actions AS
SELECT * EXCEPT (identifiers)
FROM current_actions AS action
COMMENT 'current_actions without the addresses to reach the person at.';
