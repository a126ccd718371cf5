/**
 * The database that statements are tried on: every kind of relation that the analyzer follows, each with a few
 * rows, so that what a statement really did shows.
 */

/** Names of the relations and their columns, as a generator of statements may use them. */
export const scratchTables: Readonly<Record<string, readonly string[]>> = {
  people: ['id', 'name', 'ssn', 'email'],
  sales: ['id', 'person_id', 'total', 'note'],
  lines: ['id', 'sale_id', 'label'],
  pins: ['id', 'person_id'],
  parts: ['id', 'mark'],
  parts_1: ['id', 'mark'],
  parts_2: ['id', 'mark'],
  base: ['id', 'tag'],
  derived: ['id', 'tag', 'more'],
  known: ['name', 'code', 'n'],
  known_again: ['name', 'code'],
  plain: ['id', 'name', 'ssn'],
  plain_again: ['id', 'name'],
  kept: ['ssn'],
  traced: ['id', 'word'],
  secured: ['id', 'word'],
  tickets: ['id', 'word'],
  ruled: ['id', 'word'],
  'other.things': ['id', 'word'],
};

export const scratchSchema = `
CREATE ROLE clerk;
CREATE ROLE boss;
CREATE SCHEMA other;
CREATE SCHEMA own;
CREATE TABLE people (id int PRIMARY KEY, name text, ssn varchar(20) UNIQUE, email text);
CREATE TABLE sales (id int PRIMARY KEY, person_id int REFERENCES people ON DELETE CASCADE, total numeric, note jsonb,
  twice numeric GENERATED ALWAYS AS (total * 2) STORED);
CREATE TABLE lines (id int PRIMARY KEY, sale_id int REFERENCES sales ON DELETE SET NULL ON UPDATE CASCADE, label text);
CREATE TABLE pins (id int PRIMARY KEY, person_id int REFERENCES people);
CREATE TABLE parts (id int, mark text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
CREATE INDEX parts_id ON parts (id);
CREATE TABLE loose_part (id int, mark text);
CREATE TABLE base (id int, tag text);
CREATE TABLE derived (more text) INHERITS (base);
CREATE TABLE derived_again () INHERITS (derived);
CREATE INDEX base_id ON base (id);
CREATE VIEW known AS SELECT p.name, p.ssn AS code, count(*) AS n FROM people p JOIN sales s ON s.person_id = p.id
  WHERE p.email IS NOT NULL GROUP BY p.name, p.ssn;
CREATE VIEW known_again AS SELECT name, code FROM known;
CREATE VIEW plain AS SELECT id, name, ssn FROM people WHERE id > 0;
CREATE VIEW plain_again AS SELECT id, name FROM plain WITH CHECK OPTION;
CREATE VIEW all_parts AS SELECT * FROM parts;
CREATE MATERIALIZED VIEW kept AS SELECT ssn FROM people;
CREATE UNIQUE INDEX kept_ssn ON kept (ssn);
CREATE TABLE other.people (id int PRIMARY KEY, name text);
CREATE TABLE other.things (id int PRIMARY KEY, word text);
CREATE SEQUENCE numbers;
CREATE TABLE tickets (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, word text DEFAULT 'none');
CREATE TABLE counted (id int DEFAULT nextval('numbers'), word text);
CREATE TABLE secured (id int PRIMARY KEY, word text);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY secured_all ON secured USING (true);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE moody (id int PRIMARY KEY, m mood, p pair, n positive);
CREATE TABLE rowed (id int PRIMARY KEY, thing other.things);
CREATE FUNCTION takes_people(people) RETURNS text LANGUAGE sql AS 'SELECT ($1).name';
CREATE FUNCTION fn_value() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION fn_erase() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM pins; RETURN 1; END';
CREATE FUNCTION fn_set() RETURNS SETOF people LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM people; END';
CREATE FUNCTION fn_equal(people, people) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE OPERATOR === (LEFTARG = people, RIGHTARG = people, FUNCTION = fn_equal);
CREATE FUNCTION initcap(varchar) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION begins(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE OPERATOR ^@ (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = begins);
CREATE AGGREGATE total_of(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE PROCEDURE proc_erase() LANGUAGE plpgsql AS 'BEGIN DELETE FROM pins; END';
CREATE TABLE own.journal (at timestamptz DEFAULT now(), what text);
CREATE FUNCTION own.note() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO own.journal(what) VALUES (TG_OP); IF TG_OP = ''DELETE'' THEN RETURN OLD; END IF; RETURN NEW; END';
CREATE FUNCTION own.stamp() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''stamp''; END';
CREATE TABLE traced (id int PRIMARY KEY, word text DEFAULT own.stamp());
CREATE TRIGGER traced_note BEFORE INSERT OR UPDATE OR DELETE ON traced FOR EACH ROW EXECUTE FUNCTION own.note();
CREATE VIEW doored AS SELECT id, word FROM other.things GROUP BY id, word;
CREATE TRIGGER doored_note INSTEAD OF INSERT OR UPDATE OR DELETE ON doored FOR EACH ROW EXECUTE FUNCTION own.note();
CREATE VIEW stamped AS SELECT id, own.stamp() AS stamp FROM other.things;
CREATE TABLE ruled (id int, word text);
CREATE TABLE shadow (id int, word text);
CREATE RULE ruled_also AS ON INSERT TO ruled DO ALSO INSERT INTO shadow VALUES (NEW.id, NEW.word);
CREATE RULE ruled_instead AS ON DELETE TO ruled DO INSTEAD DELETE FROM pins;
CREATE STATISTICS some_stats ON id, mark FROM parts_1;
CREATE STATISTICS people_stats (dependencies) ON name, email FROM people;
CREATE FOREIGN DATA WRAPPER far;
CREATE SERVER away FOREIGN DATA WRAPPER far;
CREATE FOREIGN TABLE remote (id int) SERVER away;
CREATE USER MAPPING FOR clerk SERVER away;
CREATE PUBLICATION news FOR TABLE pins;
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE TEXT SEARCH DICTIONARY plain_words (TEMPLATE = simple);
CREATE COLLATION sorted FROM "C";
CREATE CONVERSION turned FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE OPERATOR FAMILY bunch USING btree;
CREATE FUNCTION event_note() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER quiet ON ddl_command_end EXECUTE FUNCTION event_note();
ALTER EVENT TRIGGER quiet DISABLE;
INSERT INTO people SELECT i, 'name' || i, 'ssn' || i, 'mail' || i FROM generate_series(1, 6) i;
INSERT INTO sales (id, person_id, total, note) SELECT i, i, i * 3, '{"k": "v"}' FROM generate_series(1, 5) i;
INSERT INTO lines SELECT i, i, 'label' || i FROM generate_series(1, 5) i;
INSERT INTO pins VALUES (1, 6);
INSERT INTO parts VALUES (1, 'one'), (2, 'two'), (11, 'eleven'), (99, 'rest');
INSERT INTO base VALUES (1, 'b'); INSERT INTO derived VALUES (2, 'd', 'm'); INSERT INTO derived_again VALUES (3, 'a', 'm');
INSERT INTO other.people VALUES (1, 'other'); INSERT INTO other.things VALUES (1, 'thing'), (2, 'thing');
INSERT INTO tickets (word) VALUES ('t'); INSERT INTO counted (word) VALUES ('c');
INSERT INTO secured VALUES (1, 's'); INSERT INTO moody VALUES (1, 'sad', ROW(1, 'x'), 5);
INSERT INTO traced VALUES (1, 'w'); INSERT INTO ruled VALUES (1, 'r'); INSERT INTO rowed VALUES (1, ROW(1, 'w'));
REFRESH MATERIALIZED VIEW kept;
`;
