SELECT
  order_id,
  SUM(amount) as total_amount
FROM datalake.raw_orders
GROUP BY order_id
