SELECT order_id, SUM(amount) AS total_amount
FROM datalake.raw_{{ ds_nodash }}
GROUP BY order_id
