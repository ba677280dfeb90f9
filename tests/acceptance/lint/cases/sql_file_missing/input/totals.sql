SELECT 1 AS user_id FROM raw_events
