import { catalogOf, contextOf } from './test-catalog.ts';

const int4 = 23;
const numeric = 1700;
const jsonb = 3802;

/** A small shop: what most tests of the analyzer run against. */
export const shopCatalog = catalogOf({
  relations: {
    'public.customers': {
      columns: [['id', int4], 'name', 'ssn', ['email', 1043], ['age', int4]],
      cascadesTo: ['public.orders'],
      referencedBy: ['public.orders'],
    },
    'public.orders': {
      columns: [['id', int4], ['customer_id', int4], ['total', numeric], ['doc', jsonb], 'note'],
    },
    'public.contacts': { columns: [['id', int4], 'name', 'ssn'] },
    'public.log': { columns: [['id', int4], 'line'], triggers: true },
    'public.ruled': { columns: [['id', int4], 'line'], rules: true },
    'public.guarded': { columns: [['id', int4], 'line'], rowSecurity: true },
    'public.derived': {
      columns: [['id', int4], 'ssn', 'last4'],
      generated: { last4: ['ssn'] },
      defaults: ['id'],
    },
    'public.events': { kind: 'p', columns: [['id', int4], 'ssn', 'kind'] },
    'public.events_1': { columns: [['id', int4], 'ssn', 'kind'], parents: ['public.events'] },
    'public.events_1a': { columns: ['kind', 'ssn', ['id', int4]], parents: ['public.events_1'] },
    'public.named': {
      columns: ['name', 'tax_id'],
      definition: 'SELECT c.name, c.ssn AS tax_id FROM public.customers c WHERE (c.age > 17)',
    },
    'public.named_twice': {
      columns: ['who', 'code'],
      definition: 'SELECT named.name AS who, upper(named.tax_id) AS code FROM public.named',
    },
    'public.stored': {
      kind: 'm',
      columns: ['ssn'],
      definition: 'SELECT customers.ssn FROM public.customers',
    },
    'public.by_owner': {
      columns: ['secret'],
      definition: 'SELECT app.reveal(c.ssn) AS secret FROM public.customers c',
    },
    'public.broken': { columns: ['a'], definition: 'SELECT gone.a FROM public.gone' },
    'public.stats': {
      columns: ['v'],
      definition: 'SELECT most_common_vals::text AS v FROM pg_catalog.pg_stats',
    },
    'public.ids': { kind: 'S' },
    'public.customers_pkey': { kind: 'i' },
    'app.customers': { columns: [['id', int4], 'hidden'] },
    'app.only_here': { columns: [['id', int4]] },
    'pg_temp_3.scratch': { columns: [['id', int4], 'ssn'] },
  },
});

/** The default search path, without a temporary schema. */
export const shop = contextOf(shopCatalog);
