SELECT order_id, SUM(amount) AS total_amount
FROM datalake.raw_orders
GROUP BY order_id
