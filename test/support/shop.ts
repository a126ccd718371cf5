import type { TestPostgres } from './postgres.ts';

export interface Shop {
  readonly database: 'shop';
  /** A login that owns nothing and may read and write everything in schema public. */
  readonly user: 'shop_app';
  readonly password: string;
  readonly orders: number;
  readonly customers: number;
}

export interface ShopOptions {
  /** Rows of `orders`; default 100,000. A tenth as many customers (at least 20), twice as many items. */
  readonly orders?: number;
}

/**
 * Creates the database `shop` and the role `shop_app` on a server that has neither. The same options
 * give the same rows on every run and version.
 */
export async function loadShop(postgres: TestPostgres, options: ShopOptions = {}): Promise<Shop> {
  const { shop, atServer, inShop } = shopStatements(options);
  for (const sql of atServer) await postgres.query(sql);
  for (const sql of inShop) await postgres.query(sql, undefined, shop.database);
  return shop;
}

/** What makes the shop, in order: statements for the server as such, then those within database `shop`. */
export function shopStatements(options: ShopOptions = {}): {
  readonly shop: Shop;
  readonly atServer: readonly string[];
  readonly inShop: readonly string[];
} {
  const orders = options.orders ?? 100_000;
  const customers = Math.max(20, Math.ceil(orders / 10));
  const password = 'sesame-of-the-shop';
  return {
    shop: { database: 'shop', user: 'shop_app', password, orders, customers },
    atServer: ['CREATE DATABASE shop', `CREATE ROLE shop_app LOGIN PASSWORD '${password}'`],
    inShop: [schema, rows(customers, orders), attachments],
  };
}

const schema = `
CREATE TABLE customers (
  id int PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL,
  ssn text NOT NULL,
  birth_date date NOT NULL,
  balance numeric NOT NULL,
  phone varchar(32),
  notes text,
  profile jsonb NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE TABLE products (
  id int PRIMARY KEY,
  name text NOT NULL,
  price numeric(10,2) NOT NULL
);
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer_id int NOT NULL REFERENCES customers ON DELETE CASCADE,
  status text NOT NULL DEFAULT 'new',
  total numeric(12,2) NOT NULL,
  customer_note text,
  placed_at timestamptz NOT NULL
);
CREATE TABLE order_items (
  order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
  line int NOT NULL,
  product_id int NOT NULL REFERENCES products,
  quantity int NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (order_id, line)
);

CREATE VIEW customer_contacts AS SELECT id, name, email, phone FROM customers;
CREATE VIEW vip AS SELECT id, name, email AS address FROM customer_contacts WHERE id % 10 = 0;

CREATE TABLE events (
  id bigint NOT NULL,
  customer_id int NOT NULL,
  kind text NOT NULL,
  happened_at timestamptz NOT NULL
) PARTITION BY RANGE (happened_at);
CREATE TABLE events_2026_01 PARTITION OF events FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z');
CREATE TABLE events_2026_02 PARTITION OF events FOR VALUES FROM ('2026-02-01Z') TO ('2026-03-01Z');
CREATE TABLE events_2026_03 PARTITION OF events FOR VALUES FROM ('2026-03-01Z') TO ('2026-04-01Z');
CREATE TABLE events_later PARTITION OF events DEFAULT;

CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, ssn text NOT NULL);
CREATE TABLE employees (salary numeric NOT NULL, PRIMARY KEY (id)) INHERITS (people);
`;

/** Every value is computed from the row's number: no random(), no now(), no session time zone. */
const rows = (customers: number, orders: number): string => `
INSERT INTO customers
SELECT n,
  (ARRAY['Ada','Brian','Chidi','Dana','Edgar','Fatma','Grace','Hugo','Ines','Jürgen'])[1 + n % 10]
    || ' ' || (ARRAY['Abara','Brandt','Cohen','Díaz','Eze','Fischer','Greco'])[1 + n % 7],
  'customer' || n || '@example.com',
  lpad((100 + n % 565)::text, 3, '0') || '-' || lpad((1 + n % 99)::text, 2, '0')
    || '-' || lpad((1 + n % 9999)::text, 4, '0'),
  date '1950-01-01' + (n * 37) % 18000,
  ((n * 7919) % 1000000)::numeric / 100,
  CASE WHEN n % 9 <> 0 THEN '+1 202 555 ' || lpad((n % 10000)::text, 4, '0') END,
  CASE WHEN n % 3 = 0 THEN 'Prefers to be called at +1 202 555 ' || lpad((n % 10000)::text, 4, '0') END,
  jsonb_build_object('tier', (ARRAY['basic','silver','gold'])[1 + n % 3],
                     'card', '4111111111111111',
                     'address', jsonb_build_object('city', 'Springfield', 'zip', lpad((n % 99999)::text, 5, '0'))),
  timestamptz '2024-01-01 00:00:00Z' + n * interval '11 minutes'
FROM generate_series(1, ${customers}) AS n;

INSERT INTO products
SELECT n, 'Product ' || n, (100 + (n * 61) % 9900)::numeric / 100 FROM generate_series(1, 50) AS n;

INSERT INTO orders
SELECT n, 1 + (n * 31) % ${customers},
  (ARRAY['new','paid','shipped','returned'])[1 + n % 4],
  ((n * 104729::bigint) % 5000000)::numeric / 100,
  CASE WHEN n % 5 = 0 THEN 'Leave it with customer' || (1 + (n * 31) % ${customers}) || '@example.com' END,
  timestamptz '2026-01-01 00:00:00Z' + n * interval '1 minute'
FROM generate_series(1, ${orders}) AS n;

INSERT INTO order_items
SELECT n, line, 1 + (n * line) % 50, 1 + (n + line) % 5
FROM generate_series(1, ${orders}) AS n, generate_series(1, 2) AS line;

INSERT INTO events
SELECT n, 1 + n % ${customers}, (ARRAY['login','search','checkout'])[1 + n % 3],
  timestamptz '2026-01-01 00:00:00Z' + (n % 110) * interval '1 day' + n * interval '1 second'
FROM generate_series(1, ${Math.max(120, Math.ceil(orders / 10))}) AS n;

INSERT INTO people SELECT n, 'Person ' || n, '900-00-' || lpad(n::text, 4, '0') FROM generate_series(1, 10) AS n;
INSERT INTO employees
SELECT n, 'Employee ' || n, '901-00-' || lpad(n::text, 4, '0'), 30000 + n * 1000 FROM generate_series(11, 20) AS n;
`;

/** What runs or is computed from the rows comes after them. */
const attachments = `
CREATE INDEX orders_customer ON orders (customer_id);
CREATE MATERIALIZED VIEW customer_totals AS
  SELECT customer_id, count(*) AS orders, sum(total) AS total FROM orders GROUP BY customer_id;

CREATE TABLE order_audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id bigint NOT NULL,
  action text NOT NULL,
  old_status text,
  new_status text
);
CREATE FUNCTION record_order_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.order_audit (order_id, action, old_status, new_status)
  VALUES (coalesce(NEW.id, OLD.id), TG_OP, OLD.status, NEW.status);
  RETURN coalesce(NEW, OLD);
END $$;
CREATE TRIGGER orders_audit AFTER UPDATE OR DELETE ON orders
  FOR EACH ROW EXECUTE FUNCTION record_order_change();

CREATE FUNCTION customer_name(customer int) RETURNS text LANGUAGE sql STABLE
  RETURN (SELECT name FROM customers WHERE id = customer);

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO shop_app;
ANALYZE;
`;
