SELECT order_id FROM datalake.raw_orders
