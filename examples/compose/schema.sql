CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL);
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer_id int NOT NULL REFERENCES customers,
  status text NOT NULL DEFAULT 'new',
  total numeric(12,2) NOT NULL
);
INSERT INTO customers
  SELECT n, 'Customer ' || n, 'customer' || n || '@example.com' FROM generate_series(1, 100) AS n;
INSERT INTO orders
  SELECT n, 1 + n % 100, (ARRAY['new', 'paid', 'shipped'])[1 + n % 3], n * 1.25 FROM generate_series(1, 1000) AS n;
CREATE ROLE shop_app LOGIN PASSWORD 'change-me';
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop_app;
