-- Of a period too.
-- Where a person came from, each time they came. The one place that says what a marketing channel is:
-- 1. Whose touchpoint tells source or medium of a campaign came by that campaign. Which source and medium make which
--    channel is close to the default channel group of Google Analytics 4; a medium that is none of these is a channel of
--    its own name, and so is a source without a medium. (direct), (none) and (not set) say nothing.
-- 2. Otherwise a click in an e-mail, an SMS, a push notification or an advert is that, an advert by its network; whoever
--    did something in a social network came by organic_social.
-- 3. Otherwise a web or app touchpoint that begins a session came by its referrer, where that is of another site than the
--    page. Within a session a referrer says nothing: it is the page before, or somebody who takes the payment.
-- 4. Otherwise a web or app touchpoint that begins a session is direct. All else is none.
-- What we did to a person (sent, delivered, shown, an opened mail that may be a machine's) is none and begins no session;
-- nor does a call that says who somebody is.
-- The same channel within 30 minutes of itself is one: the click in the mail and the page it led to.
CREATE OR REPLACE VIEW marketing_touchpoints AS
WITH
    '^((www|search|m)\\.)?(google|bing|yahoo|duckduckgo|baidu|yandex|ecosia|qwant|startpage|naver|brave)(\\.[a-z.]+)?$' AS search_site,
    '^((www|m|l|lm|out|old)\\.)?(facebook|fb|meta|instagram|ig|twitter|linkedin|pinterest|reddit|tiktok|snapchat|threads|whatsapp|tumblr|weibo|vk|x\\.com|x|t\\.co|lnkd\\.in)(\\.[a-z.]+)?$' AS social_site,
    '^((www|m)\\.)?(youtube|youtu\\.be|vimeo|twitch|dailymotion)(\\.[a-z.]+)?$' AS video_site,
    ('(direct)', '(none)', '(not set)', '(not provided)') AS unsaid,
    met AS
    (
        SELECT
            message_id, profile_id, session_id, event_at, event, channel, ifNull(campaign.name, '') AS campaign_name,
            lower(trimBoth(ifNull(campaign.source, ''))) AS told_source,
            lower(trimBoth(ifNull(campaign.medium, ''))) AS told_medium,
            if(told_source IN unsaid, '', told_source) AS campaign_source,
            if(told_medium IN unsaid, '', told_medium) AS campaign_medium,
            lower(network) AS ad_network,
            if(
                cutToFirstSignificantSubdomain(referrer) = cutToFirstSignificantSubdomain(page_url),
                '',
                lower(domain(referrer))
            ) AS referring_site,
            session_id IS NOT NULL
                AND row_number() OVER (PARTITION BY profile_id, session_id ORDER BY event_at, message_id) = 1 AS begins_session
        FROM current_touchpoints
        WHERE type NOT IN ('identify', 'group', 'alias') AND NOT is_automated AND direction != 'outbound'
            AND (channel NOT IN ('email', 'sms', 'push', 'ads') OR event IN
            (
                'Email Link Clicked', 'SMS Link Clicked', 'Push Notification Tapped', 'Push Notification Opened',
                'Advert Clicked'
            ) OR is_view_through)
            AND (channel != 'orders' OR event = 'Order Completed')
    ),
    placed AS
    (
        SELECT
            *,
            multiIf(
                campaign_source != '' OR campaign_medium != '', 'campaign',
                channel IN ('email', 'sms', 'push', 'ads', 'social'), 'own channel',
                begins_session AND channel IN ('web', 'app') AND referring_site != '', 'referrer',
                begins_session AND channel IN ('web', 'app'), 'direct',
                ''
            ) AS rule,
            multiIf(
                rule = 'campaign', campaign_source,
                rule = 'own channel', ad_network,
                rule = 'referrer', referring_site,
                ''
            ) AS source,
            multiIf(
                rule = 'campaign', campaign_medium,
                rule = 'own channel', if(channel = 'ads', 'cpc', channel),
                rule = 'referrer', 'referral',
                ''
            ) AS medium
        FROM met
        WHERE rule != ''
    ),
    named AS
    (
        SELECT
            *,
            replaceRegexpAll(medium, '[ -]', '_') AS said,
            multiIf(
                rule = 'direct', 'direct',
                said IN
                (
                    'paid_search', 'paid_social', 'paid_video', 'paid_other', 'organic_search', 'organic_social',
                    'organic_video', 'display', 'email', 'affiliate', 'referral_program', 'sms', 'push', 'direct'
                ), said,
                said IN ('banner', 'expandable', 'interstitial', 'cpm'), 'display',
                match(said, '^(.*cp.*|ppc|retargeting|paid.*)$'), multiIf(
                    match(source, search_site), 'paid_search',
                    match(source, social_site), 'paid_social',
                    match(source, video_site), 'paid_video',
                    'paid_other'
                ),
                said IN ('e_mail', 'mail', 'newsletter') OR source IN ('email', 'e-mail', 'newsletter'), 'email',
                said = 'affiliates', 'affiliate',
                source = 'sms', 'sms',
                endsWith(said, 'push') OR said IN ('mobile', 'notification'), 'push',
                match(source, social_site) OR said IN ('social', 'social_network', 'social_media', 'sm'), 'organic_social',
                match(source, video_site) OR position(said, 'video') > 0, 'organic_video',
                match(source, search_site) OR said = 'organic', 'organic_search',
                said IN ('referral', 'link'), 'referral',
                said != '', said,
                source
            ) AS marketing_channel
        FROM placed
    )
SELECT
    message_id,
    profile_id,
    session_id,
    event_at,
    marketing_channel,
    rule,
    source,
    medium,
    campaign_name,
    event,
    channel
FROM
(
    SELECT
        *,
        lagInFrame(marketing_channel, 1, '') OVER in_order AS channel_before,
        lagInFrame(event_at, 1, event_at) OVER in_order AS before_at
    FROM named
    WINDOW in_order AS (PARTITION BY profile_id ORDER BY event_at, message_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE marketing_channel != channel_before OR event_at > before_at + INTERVAL 30 MINUTE
COMMENT 'Each time a person came to us, and by which marketing_channel: by rule a campaign (source and medium), a click in a mail, SMS, push or advert of ours, the referrer of a session, or direct. What we sent or showed does not count; the same channel again within 30 minutes is one.';
