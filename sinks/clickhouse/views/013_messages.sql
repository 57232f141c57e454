-- Of a period too.
CREATE OR REPLACE VIEW messages AS
WITH
    (said.event_at, said.message_id) AS place,
    multiIf(said.channel = 'email', said.email_id, said.channel = 'sms', said.sms_id, said.notification_id) AS id
SELECT
    said.channel AS channel,
    id AS sent_id,
    argMin(said.profile_id, place) AS profile_id,
    anyIf(said.template_id, said.template_id != '') AS template_id,
    argMinIf(said.campaign.name, place, said.campaign.name IS NOT NULL) AS campaign_name,
    minOrNullIf(said.event_at, said.event IN ('Email Sent', 'SMS Sent', 'Push Notification Sent')) AS sent_at,
    minOrNullIf(
        said.event_at, said.event IN ('Email Delivered', 'SMS Delivered', 'Push Notification Received')
    ) AS delivered_at,
    minOrNullIf(
        said.event_at, said.event IN ('Email Opened', 'Push Notification Tapped') AND NOT said.is_automated
    ) AS opened_at,
    minOrNullIf(
        said.event_at,
        said.event IN ('Email Link Clicked', 'SMS Link Clicked', 'Push Notification Tapped')
            AND NOT said.is_automated
    ) AS clicked_at,
    minOrNullIf(said.event_at, said.event IN ('Email Bounced', 'Push Notification Bounced')) AS bounced_at,
    minOrNullIf(said.event_at, said.event = 'Email Marked as Spam') AS complained_at,
    minOrNullIf(said.event_at, said.event = 'Unsubscribed') AS unsubscribed_at
FROM contact_touchpoints AS said
WHERE said.channel IN ('email', 'sms', 'push')
    AND id != ''
GROUP BY said.channel, id
COMMENT 'Each e-mail, SMS and push notification once, by the provider\'s id (those without one cannot be told apart and are not here), with the first time it was sent, delivered, opened, clicked and so on; NULL: not told. Opens and clicks by machines do not count; a push that was tapped is opened and clicked.';
