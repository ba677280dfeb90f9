SELECT order_id, SUM(amount) AS total_amount
FROM raw_orders
GROUP BY order_id
