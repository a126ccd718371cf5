/** Statements as applications send them, all below 1 KB, over the tables of `corpusCatalog`. */
import { catalogOf } from '@chaperone/core/sql/postgres/test-catalog.ts';

const int4 = 23;
const numeric = 1700;
const timestamptz = 1184;

export const corpusCatalog = catalogOf({
  relations: {
    'public.customers': {
      columns: [['id', int4], 'name', 'email', 'ssn', ['balance', numeric], 'phone', 'notes'],
      cascadesTo: ['public.orders'],
      referencedBy: ['public.orders'],
    },
    'public.orders': {
      columns: [
        ['id', int4],
        ['customer_id', int4],
        'status',
        ['total', numeric],
        ['placed_at', timestamptz],
      ],
      triggers: true,
    },
    'public.order_items': {
      columns: [
        ['order_id', int4],
        ['line', int4],
        ['product_id', int4],
        ['quantity', int4],
      ],
    },
    'public.products': { columns: [['id', int4], 'name', ['price', numeric]] },
    'public.customer_contacts': {
      columns: [['id', int4], 'name', 'email', 'phone'],
      definition:
        'SELECT customers.id, customers.name, customers.email, customers.phone FROM public.customers',
    },
  },
});

const shapes: readonly ((n: number) => string)[] = [
  (n) => `SELECT id, name, email FROM customers WHERE id = ${n}`,
  (n) => `SELECT * FROM orders WHERE customer_id = ${n} ORDER BY placed_at DESC LIMIT 20`,
  (n) => `SELECT count(*) FROM orders WHERE status = 'paid' AND total > ${n}.50`,
  (n) =>
    `SELECT o.id, o.total, c.name, c.email FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = ${n}`,
  (n) =>
    `SELECT c.name, sum(o.total) AS spent FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.placed_at > now() - interval '${n} days' GROUP BY c.id, c.name HAVING sum(o.total) > 100 ORDER BY spent DESC LIMIT 50`,
  (n) =>
    `SELECT p.name, sum(i.quantity) FROM order_items i JOIN products p ON p.id = i.product_id JOIN orders o ON o.id = i.order_id WHERE o.status IN ('paid', 'shipped') AND p.price < ${n} GROUP BY p.name`,
  (n) => `UPDATE orders SET status = 'shipped' WHERE id = ${n} RETURNING id, status`,
  (n) =>
    `INSERT INTO orders (id, customer_id, status, total, placed_at) VALUES (${n}, 7, 'new', 12.50, now())`,
  (n) => `SELECT name, email FROM customer_contacts WHERE id IN (${n}, ${n + 1}, ${n + 2})`,
  (n) =>
    `WITH recent AS (SELECT id, customer_id, total FROM orders WHERE placed_at > '2026-01-0${1 + (n % 9)}') SELECT c.id, c.name, max(r.total) FROM customers c LEFT JOIN recent r ON r.customer_id = c.id GROUP BY c.id, c.name`,
  (n) =>
    `SELECT id, CASE WHEN balance > ${n} THEN 'gold' ELSE 'basic' END AS tier, coalesce(phone, 'none') FROM customers WHERE name = 'Ada' ORDER BY id`,
  (n) =>
    `SELECT DISTINCT c.name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.total > ${n}) AND c.notes IS NOT NULL`,
  (n) => `DELETE FROM order_items WHERE order_id = ${n} AND line > 1`,
];

/** Forms of each shape; they differ in more than literals. */
const forms = 16;

/** 208 texts, each with a normal form of its own. `variant` changes their literals alone. */
export function corpus(variant: number): string[] {
  return shapes.flatMap((shape, index) =>
    Array.from({ length: forms }, (_, form) => {
      const text = shape(1000 + variant * 977 + form + index * 31);
      return text.startsWith('INSERT')
        ? `${text} RETURNING id AS made_${form}`
        : text.replace('WHERE', `WHERE${' true AND'.repeat(form)}`);
    }),
  );
}
