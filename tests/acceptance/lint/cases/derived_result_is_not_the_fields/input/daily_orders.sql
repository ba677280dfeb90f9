SELECT order_id, SUM(amount) AS total
FROM datalake.raw_orders
GROUP BY order_id
