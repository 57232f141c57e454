CREATE OR REPLACE VIEW current_attribution_models AS
SELECT model, channel, currency, conversions, revenue_micros, lookback_days, computed_at
FROM attribution_models
WHERE computed_at = (SELECT max(computed_at) FROM attribution_models)
COMMENT 'What the latest run of throughline attribution credits each marketing channel with, by model: markov, shapley or counterfactual.';
