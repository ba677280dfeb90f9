-- Delays are in minutes; a flight that was cancelled has no departure time.
SELECT
  ds AS flight_day,
  carrier,
  origin,
  COUNT(*) AS flights,
  COUNT_IF(dep_time IS NULL) AS cancelled,
  AVG(CAST(dep_delay AS DOUBLE)) AS mean_dep_delay,
  AVG(CAST(arr_delay AS DOUBLE)) AS mean_arr_delay,
  MAX(CAST(dep_delay AS DOUBLE)) AS max_dep_delay
FROM flights
GROUP BY ds, carrier, origin
