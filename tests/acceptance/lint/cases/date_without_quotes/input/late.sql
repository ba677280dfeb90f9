{% set since = data_interval_start | ds %}
SELECT * FROM totals
WHERE day < {{ since }}
  OR seen_at > {{ ts }}
