SELECT
  user_id,
  COUNT(*) AS events
FROM raw_events
WHERE day = '{{ dy }}' AND
GROUP BY user_id
