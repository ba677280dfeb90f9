SELECT order_id
FROM {% if environment == 'prod' %}raw_orders_full{% else %}raw.orders{% endif %}
WHERE country IN {{ params.parameters.countries | sql }}
  {% if ds > '2024' %}AND order_id IN (SELECT order_id FROM orders){% endif %}
  {% for c in params.parameters.countries %}OR country = {{ c | sql }}{% endfor %}
