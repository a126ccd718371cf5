/**
 * Migrations as tools send them, a file or more in one simple Query each, written by hand after what is known of the
 * tools. `left`: a query of the server's catalog and what it tells afterwards.
 */
export interface Migration {
  readonly tool: string;
  readonly texts: readonly string[];
  /** The first text makes a function: not for those who are under a mask. */
  readonly keepsCode?: true;
  readonly left: readonly (readonly [sql: string, rows: readonly (readonly string[])[]])[];
}

const columnsOf = (table: string): string =>
  `SELECT attname::text || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
   WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`;
const constraintsOf = (table: string): string =>
  `SELECT conname::text || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
   WHERE conrelid = '${table}'::regclass AND contype <> 'n' ORDER BY conname`;
const indexesOf = (table: string): string =>
  `SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = '${table}'::regclass ORDER BY 1`;
const each = (...values: readonly string[]): readonly (readonly string[])[] =>
  values.map((value) => [value]);

export const migrations: readonly Migration[] = [
  {
    tool: 'Prisma',
    texts: [
      `-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "Role" AS ENUM ('USER', 'ADMIN');

-- CreateTable
CREATE TABLE "User" (
    "id" SERIAL NOT NULL,
    "email" TEXT NOT NULL,
    "name" TEXT,
    "role" "Role" NOT NULL DEFAULT 'USER',
    "tags" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Post" (
    "id" TEXT NOT NULL,
    "title" VARCHAR(255) NOT NULL,
    "authorId" INTEGER NOT NULL,
    "replyToId" TEXT,

    CONSTRAINT "Post_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "_CategoryToPost" (
    "A" INTEGER NOT NULL,
    "B" TEXT NOT NULL
);

-- CreateIndex
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");

-- CreateIndex
CREATE INDEX "Post_title_idx" ON "Post"("title" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "_CategoryToPost_AB_unique" ON "_CategoryToPost"("A", "B");

-- AddForeignKey
ALTER TABLE "Post" ADD CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Post" ADD CONSTRAINT "Post_replyToId_fkey" FOREIGN KEY ("replyToId") REFERENCES "Post"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_CategoryToPost" ADD CONSTRAINT "_CategoryToPost_B_fkey" FOREIGN KEY ("B") REFERENCES "Post"("id") ON DELETE CASCADE ON UPDATE CASCADE;
`,
      `/*
  Warnings:

  - You are about to drop the column \`name\` on the \`User\` table. All the data in the column will be lost.
*/
-- CreateEnum
CREATE TYPE "State" AS ENUM ('DRAFT', 'LIVE');

-- AlterEnum
ALTER TYPE "Role" ADD VALUE 'GUEST';

-- DropForeignKey
ALTER TABLE "Post" DROP CONSTRAINT "Post_authorId_fkey";

-- DropIndex
DROP INDEX "Post_title_idx";

-- AlterTable
ALTER TABLE "User" DROP COLUMN "name",
ADD COLUMN     "fullName" TEXT NOT NULL DEFAULT '',
ALTER COLUMN "email" SET DATA TYPE VARCHAR(320);

-- AlterTable
ALTER TABLE "Post" ADD COLUMN     "state" "State" NOT NULL DEFAULT 'DRAFT',
ALTER COLUMN "authorId" DROP NOT NULL;

-- CreateTable
CREATE TABLE "Profile" (
    "id" SERIAL NOT NULL,
    "userId" INTEGER NOT NULL,

    CONSTRAINT "Profile_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "Profile_userId_key" ON "Profile"("userId");

-- RenameIndex
ALTER INDEX "_CategoryToPost_AB_unique" RENAME TO "_CategoryToPost_AB_key";

-- AddForeignKey
ALTER TABLE "Profile" ADD CONSTRAINT "Profile_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Post" ADD CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User"("id") ON DELETE SET NULL ON UPDATE CASCADE;
`,
    ],
    left: [
      [
        columnsOf('"User"'),
        each(
          'id integer',
          'email character varying(320)',
          'role "Role"',
          'tags text[]',
          'createdAt timestamp(3) without time zone',
          'fullName text',
        ),
      ],
      [
        constraintsOf('"Post"'),
        each(
          'Post_authorId_fkey FOREIGN KEY ("authorId") REFERENCES "User"(id) ON UPDATE CASCADE ON DELETE SET NULL',
          'Post_pkey PRIMARY KEY (id)',
          'Post_replyToId_fkey FOREIGN KEY ("replyToId") REFERENCES "Post"(id) ON UPDATE CASCADE ON DELETE SET NULL',
        ),
      ],
      [indexesOf('"_CategoryToPost"'), each('"_CategoryToPost_AB_key"')],
      [indexesOf('"Profile"'), each('"Profile_pkey"', '"Profile_userId_key"')],
    ],
  },
  {
    tool: 'golang-migrate',
    texts: [
      `BEGIN;

CREATE TYPE account_state AS ENUM ('open', 'closed');

CREATE TABLE IF NOT EXISTS accounts (
  id bigserial PRIMARY KEY,
  owner varchar NOT NULL,
  parent_id bigint REFERENCES accounts (id) ON DELETE CASCADE,
  state account_state NOT NULL DEFAULT 'open',
  balance bigint NOT NULL CHECK (balance >= 0),
  created_at timestamptz NOT NULL DEFAULT (now())
);

CREATE TABLE IF NOT EXISTS entries (
  id bigserial PRIMARY KEY,
  account_id bigint NOT NULL,
  amount bigint NOT NULL
);

ALTER TABLE entries ADD FOREIGN KEY (account_id) REFERENCES accounts (id);

CREATE INDEX ON accounts (owner);
CREATE INDEX IF NOT EXISTS entries_by_account ON entries (account_id, amount);

COMMENT ON COLUMN entries.amount IS 'can be negative or positive';

INSERT INTO accounts (owner, balance) VALUES ('bank', 100) ON CONFLICT DO NOTHING;
INSERT INTO entries (account_id, amount) SELECT id, balance FROM accounts;
UPDATE accounts SET balance = balance + (SELECT sum(amount) FROM entries) WHERE owner = 'bank';

COMMIT;
`,
      `ALTER TABLE IF EXISTS entries DROP CONSTRAINT IF EXISTS entries_account_id_fkey;
DROP TABLE IF EXISTS entries;
DROP TABLE IF EXISTS transfers;
CREATE TABLE transfers (id bigint GENERATED ALWAYS AS IDENTITY, from_id bigint NOT NULL REFERENCES accounts, to_id bigint NOT NULL REFERENCES accounts);
ALTER TABLE accounts RENAME COLUMN owner TO holder;
UPDATE accounts SET holder = upper(holder);
`,
    ],
    left: [
      [columnsOf('transfers'), each('id bigint', 'from_id bigint', 'to_id bigint')],
      ['SELECT holder || balance FROM accounts', each('BANK200')],
      ["SELECT coalesce(to_regclass('entries')::text, 'none')", each('none')],
    ],
  },
  {
    tool: 'dbmate',
    keepsCode: true,
    texts: [
      `create table plans (
  id integer,
  name varchar(255),
  email varchar(255) not null,
  updated_at timestamptz not null default now()
);
create function touch_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end;
$$;
create trigger plans_touch before update on plans for each row execute function touch_updated_at();
create unique index plans_by_email on plans (lower(email));
insert into plans (id, name, email) values (1, 'free', 'free@example.com'), (2, 'paid', 'paid@example.com');
alter table plans add primary key (id);
create view cheap_plans as select id, name from plans where id < 2;
`,
    ],
    left: [
      [indexesOf('plans'), each('plans_by_email', 'plans_pkey')],
      [
        "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'plans'::regclass",
        each('plans_touch'),
      ],
      ['SELECT name FROM cheap_plans', each('free')],
    ],
  },
  {
    tool: 'Flyway',
    texts: [
      `CREATE SCHEMA IF NOT EXISTS billing;
CREATE SEQUENCE IF NOT EXISTS billing.invoice_numbers START WITH 1000 INCREMENT BY 1;
CREATE DOMAIN billing.cents AS bigint CHECK (VALUE >= 0);
CREATE TABLE billing.invoices (
  number bigint NOT NULL DEFAULT nextval('billing.invoice_numbers'),
  amount billing.cents NOT NULL,
  doubled bigint GENERATED ALWAYS AS (amount * 2) STORED,
  customer_id int REFERENCES public.customers ON DELETE SET NULL,
  CONSTRAINT pk_invoices PRIMARY KEY (number)
);
CREATE TABLE billing.lines (
  invoice bigint NOT NULL CONSTRAINT fk_lines_invoice REFERENCES billing.invoices ON DELETE CASCADE,
  position int NOT NULL,
  CONSTRAINT pk_lines PRIMARY KEY (invoice, position)
);
INSERT INTO billing.invoices (amount, customer_id) VALUES (500, NULL);
INSERT INTO billing.lines SELECT number, 1 FROM billing.invoices;
ALTER TABLE billing.lines RENAME TO invoice_lines;
DELETE FROM billing.invoices WHERE amount > 900;
`,
    ],
    left: [
      ['SELECT (number || $$ $$ || doubled) FROM billing.invoices', each('1000 1000')],
      [
        constraintsOf('billing.invoice_lines'),
        each(
          'fk_lines_invoice FOREIGN KEY (invoice) REFERENCES billing.invoices(number) ON DELETE CASCADE',
          'pk_lines PRIMARY KEY (invoice, "position")',
        ),
      ],
    ],
  },
  {
    tool: 'Rails structure.sql and pg_dump',
    keepsCode: true,
    texts: [
      `SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE FUNCTION public.count_up() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN RETURN NEW; END$$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.schema_migrations (
    version character varying NOT NULL
);

CREATE TABLE public.articles (
    id bigint NOT NULL,
    title character varying,
    author_id bigint
);
ALTER TABLE public.articles OWNER TO postgres;

CREATE SEQUENCE public.articles_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.articles_id_seq OWNED BY public.articles.id;

CREATE TABLE public.authors (
    id bigint NOT NULL,
    name character varying
);

CREATE VIEW public.author_names AS
 SELECT authors.id, authors.name FROM public.authors;

ALTER TABLE ONLY public.articles ALTER COLUMN id SET DEFAULT nextval('public.articles_id_seq'::regclass);

SELECT pg_catalog.setval('public.articles_id_seq', 7, true);

ALTER TABLE ONLY public.articles
    ADD CONSTRAINT articles_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.authors
    ADD CONSTRAINT authors_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

CREATE INDEX index_articles_on_author_id ON public.articles USING btree (author_id);

CREATE TRIGGER articles_count BEFORE INSERT ON public.articles FOR EACH ROW EXECUTE FUNCTION public.count_up();

ALTER TABLE ONLY public.articles
    ADD CONSTRAINT fk_rails_1 FOREIGN KEY (author_id) REFERENCES public.authors(id);

SET search_path TO "$user", public;

INSERT INTO "schema_migrations" (version) VALUES
('20260101000000'),
('20260102000000');
`,
    ],
    left: [
      ['SELECT last_value::text FROM articles_id_seq', each('7')],
      ['SELECT count(*)::text FROM schema_migrations', each('2')],
      [
        constraintsOf('articles'),
        each(
          'articles_pkey PRIMARY KEY (id)',
          'fk_rails_1 FOREIGN KEY (author_id) REFERENCES authors(id)',
        ),
      ],
      ["SELECT pg_get_serial_sequence('articles', 'id')", each('public.articles_id_seq')],
    ],
  },
];
