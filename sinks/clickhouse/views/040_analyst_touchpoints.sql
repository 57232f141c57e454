-- Of a period too.
-- Less the columns of `personal`.
CREATE OR REPLACE VIEW analyst_touchpoints AS
SELECT * EXCEPT
(
    identifiers, properties, page_url, search_query, referrer, user_agent, ip, deep_link_url, link_url,
    sender, reply_keyword, ticket_subject, call_id, post_id, parent_post_id, post_url, handle, followers,
    click_id, landing_url, comment, tracking_number, identified_by
)
FROM current_touchpoints AS touchpoint
COMMENT 'current_touchpoints without what says who somebody is: identifiers, addresses, devices, free text.';
