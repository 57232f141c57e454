CREATE OR REPLACE VIEW contact_touchpoints AS
SELECT
    touchpoint.* REPLACE (if(owner.profile_id != '', owner.profile_id, touchpoint.profile_id) AS profile_id)
FROM touchpoints AS touchpoint
LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = touchpoint.owner_hash
WHERE channel IN ('email', 'sms', 'push', 'support', 'loyalty', 'survey')
    AND touchpoint.place NOT IN (SELECT place FROM repeated_contact_touchpoints)
COMMENT 'touchpoints_once of e-mail, SMS, push, support, loyalty and surveys.';
