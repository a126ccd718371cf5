/**
 * Statements with holes where a literal, a space or a comment stands, and two ways to fill them: what may or
 * may not share a place in the cache of decisions.
 */
import fc from 'fast-check';

/** Every way to write a constant, a type before or behind it, and what the analysis reads names from. */
const literals: readonly string[] = [
  ...["'x'", "''", "'it''s'", "'a'\n'b'", "E'\\''", "E'a\\\\'", "e'\\x41'", "E'\\u0041'", '$$y$$'],
  ...["$t$ it's $$ $t$", '$T$$T$', "B'101'", "b''", "X'1F'", "x'ff'", "N'n'", "U&'d\\0061t'"],
  ...[
    "U&'d!0061t' UESCAPE '!'",
    "'customers'",
    "'public.customers'",
    "'secret'",
    "'search_path'",
    "'work_mem'",
    "'role'",
  ],
  ...['1', '0', '42', '00000001', '2147483647', '2147483648', '9223372036854775808', '1_000'],
  ...['0x1F', '0b101', '0o17', '1.5', '.5', '1.', '1.e5', '1e10', '1E-3', '1_0.5'],
  ...["DATE '2026-01-01'", "INTERVAL '1 day'", "INTERVAL '1' DAY", "regclass 'customers'"],
  ...["'customers'::regclass", "'1'::int", "'1'::pg_catalog.int4", "CAST('orders' AS regclass)"],
  ...[
    "'a'::text::regclass",
    "('a')::regclass",
    "'1'::varchar(3)",
    '\'a\' COLLATE "C"',
    "'{1}'::int[]",
  ],
  ...['NULL', 'TRUE', '$1', '-5', "+'5'", "'a' || 'b'", "ARRAY[1, '2']", "ROW(1, 'x')"],
];

const spaces: readonly string[] = [
  ...[' ', ' ', ' ', '  ', '\n', '\t', '\r\n', '\f', ' /* c */ ', '/**/', ' /* a /* b */ c */ '],
  ...[" /* 'q' */ ", ' -- line\n', " --'\n", ' /* -- */ ', '/* $$ */'],
];

/** `~` is a literal, `_` a space or comment. */
const templates: readonly string[] = [
  'SELECT_id,_name_FROM_customers_WHERE_id_=_~',
  'SELECT_ssn_FROM_customers_WHERE_name_=_~_AND_age_>_~_ORDER BY_1_LIMIT_~',
  'SELECT_*_FROM_contacts_WHERE_ssn_=_~_OR_name_LIKE_~_ESCAPE_~',
  'SELECT_id_FROM_orders_WHERE_total_BETWEEN_~_AND_~_GROUP BY_~,_id_HAVING_count(*)_>_~',
  'SELECT_id,_total_FROM_orders_ORDER BY_~,_~_OFFSET_~_LIMIT_~',
  'SELECT_id_FROM_orders_ORDER BY_1_FETCH FIRST_~_ROWS ONLY',
  'SELECT_DISTINCT ON_(~)_id,_note_FROM_orders',
  'SELECT_lower(~),_coalesce(note,_~),_substring(note_from_~_for_~)_FROM_orders',
  'SELECT_nextval(~),_setval(~,_~)',
  'SELECT_set_config(~,_~,_false)',
  'SELECT_set_config(name,_~,_false)_FROM_pg_settings_WHERE_name_=_~',
  'SELECT_note_FROM_orders,_(SELECT_set_config(name,_~,_false)_FROM_pg_settings_WHERE_name_=_~)_s_WHERE_id_=_~',
  'SELECT_current_setting(~)_FROM_orders_WHERE_note_=_~',
  'SELECT_to_regclass(~),_pg_relation_size(~)_FROM_orders_WHERE_id_=_~',
  'SELECT_note::numeric(10,2),_note::varchar(~),_note::text_FROM_orders_WHERE_id_=_~',
  'SELECT_CAST(~_AS_text),_CAST(~_AS_regclass)_FROM_orders_WHERE_id_=_~',
  'SELECT_~::text,_~::regclass,_(~)::text_FROM_orders_WHERE_note_=_~',
  'SELECT_doc_->_~_->>_~,_doc_#>_~_FROM_orders_WHERE_doc_@>_~_AND_doc_?_~',
  'SELECT_CASE_WHEN_id_=_~_THEN_~_ELSE_~_END_FROM_customers',
  'SELECT_(ARRAY[~,_~])[~],_note_FROM_orders_WHERE_id_=_ANY_(ARRAY[~])',
  'SELECT_g_FROM_generate_series(~,_~)_g,_orders_WHERE_id_=_g_AND_note_=_~',
  'SELECT_sum(total)_OVER_(ORDER BY_~_ROWS_~_PRECEDING)_FROM_orders_WHERE_id_=_~',
  'SELECT_id_FROM_orders_TABLESAMPLE_system_(~)_WHERE_id_=_~',
  'SELECT_extract(year_FROM_~),_trim(~_from_note),_position(~_in_note)_FROM_orders',
  'SELECT_note_AT TIME ZONE_~_FROM_orders_WHERE_id_IN_(~,_~)',
  'SELECT_xmlelement(name_foo,_~),_json_build_object(~,_ssn)_FROM_customers_WHERE_id_=_~',
  'SELECT_query_to_xml(~,_true,_true,_~)',
  'SELECT_lo_export(~,_~),_pg_read_file(~)_FROM_orders_WHERE_id_=_~',
  'WITH_a_AS_(SELECT_~_AS_x,_ssn_FROM_customers_WHERE_id_=_~)_SELECT_*_FROM_a',
  'WITH_a_AS_(DELETE_FROM_orders_WHERE_note_=_~_RETURNING_*)_SELECT_id_FROM_a_WHERE_id_=_~',
  'INSERT_INTO_orders_(id,_note)_VALUES_(~,_~),_(~,_~)_ON CONFLICT_(id)_DO UPDATE_SET_note_=_~',
  'INSERT_INTO_log_SELECT_id,_ssn_FROM_customers_WHERE_name_=_~',
  'UPDATE_customers_SET_name_=_~,_age_=_age_+_~_WHERE_ssn_=_~_RETURNING_ssn',
  'DELETE_FROM_orders_USING_customers_WHERE_customers.ssn_=_~_AND_orders.id_=_~',
  'MERGE_INTO_orders_USING_customers_ON_orders.id_=_~_WHEN MATCHED_AND_note_=_~_THEN_DELETE',
  'SELECT_1_FROM_customers_WHERE_ssn_=_~_UNION_ALL_SELECT_~_ORDER BY_~',
  'SELECT_id_FROM_orders_WHERE_id_=_~;_SELECT_ssn_FROM_customers_WHERE_id_=_~',
  'VALUES_(~,_~),_(~,_~)',
  'SELECT_a.ssn,_b.note_FROM_contacts_a_JOIN_orders_b_ON_a.id_=_b.id_AND_b.note_=_~',
  'SET_search_path_=_~;_SELECT_id_FROM_orders_WHERE_id_=_~',
  'EXPLAIN_(ANALYZE_true)_SELECT_ssn_FROM_customers_WHERE_id_=_~',
  'PREPARE_p_AS_SELECT_ssn_FROM_customers_WHERE_name_=_~',
  'SELECT_row_to_json(customers),_customers::text_FROM_customers_WHERE_age_=_~',
  'SELECT_interval(~)_~_FROM_orders', // a precision, or a call
  'SELECT_float8_~,_int4_~,_"date"_~,_app.reveal_~_FROM_orders',
];

/** Those that may share a placeholder. */
const kinds: readonly (readonly string[])[] = [
  literals.filter((one) => /^(?:[eE]?'|\$[tT]?\$).*['$]$/s.test(one) && !one.includes('||')),
  literals.filter((one) => /^[\dx_]+$/i.test(one)),
  literals.filter((one) => /^[\d.]+(?:[eE]-?\d+)?$/.test(one)),
];

/** A literal, and one to stand in its place: mostly of its own kind, or hardly two texts would be alike. */
const pair: fc.Arbitrary<readonly [string, string]> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .constantFrom(...kinds)
      .chain((kind) => fc.tuple(fc.constantFrom(...kind), fc.constantFrom(...kind))),
  },
  { weight: 2, arbitrary: fc.constantFrom(...literals).map((one) => [one, one] as const) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...literals), fc.constantFrom(...literals)) },
);

/** One template, its holes filled twice. */
export const spelledTwice: fc.Arbitrary<readonly [string, string]> = fc
  .constantFrom(...templates)
  .chain((template) => {
    const parts = template.split(/([~_])/);
    const holes = parts.filter((part) => part === '~' || part === '_').length;
    const space = fc.oneof(
      { weight: 3, arbitrary: fc.constant(' ') },
      { weight: 1, arbitrary: fc.constantFrom(...spaces) },
    );
    const hole = fc.record({ literal: pair, space });
    return fc.array(hole, { minLength: holes, maxLength: holes }).map((filling) => {
      const fill = (which: 0 | 1): string => {
        let at = 0;
        const filled = parts.map((part) => {
          if (part === '~') return filling[at++]!.literal[which];
          return part === '_' ? filling[at++]!.space : part;
        });
        return filled.join('');
      };
      return [fill(0), fill(1)] as const;
    });
  });
