-- Parameters: lookback_days, half_life_days.
CREATE OR REPLACE VIEW attribution AS
SELECT
    model,
    channel,
    currency,
    sum(credit) AS conversions,
    toInt64(round(sum(credits.revenue_micros))) AS revenue_micros
FROM attribution_credits(lookback_days = {lookback_days:UInt16}, half_life_days = {half_life_days:Float64}) AS credits
GROUP BY model, channel, currency
COMMENT 'Orders and revenue that each marketing channel is credited with, by model (first, last, last_non_direct, linear, position, time_decay; see attribution_credits) and currency; revenue is NULL where no order tells any. Each model adds up to all orders. Parameters: lookback_days, half_life_days.';
