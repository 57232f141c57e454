-- Of a period too.
-- Parameters: lookback_days, half_life_days. Fractions are added up from the smallest on, so that a sum is the same each time.
CREATE OR REPLACE VIEW attribution AS
SELECT
    model,
    channel,
    currency,
    arraySum(arraySort(groupArray(credit))) AS conversions,
    if(
        count(credits.revenue_micros) = 0,
        NULL,
        toInt64(round(arraySum(arraySort(groupArray(credits.revenue_micros)))))
    ) AS revenue_micros
FROM attribution_credits(lookback_days = {lookback_days:UInt16}, half_life_days = {half_life_days:Float64}) AS credits
GROUP BY model, channel, currency
COMMENT 'Orders and revenue that each marketing channel is credited with, by model (first, last, last_non_direct, linear, position, time_decay; see attribution_credits) and currency; revenue is NULL where no order tells any. Each model adds up to all orders. Parameters: lookback_days, half_life_days.';
