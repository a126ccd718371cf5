// A program of tests around pgx and its pool: for each line of standard input that names one of its steps, one
// line of JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

const endless = "SELECT pg_sleep(3600)"

var masked = regexp.MustCompile(`^\*{7}[0-9]{4}$`)

// modes are pgx's ways to run a query; each sends other messages.
var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement,
	pgx.QueryExecModeCacheDescribe,
	pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec,
	pgx.QueryExecModeSimpleProtocol,
}

type program struct {
	pool *pgxpool.Pool
}

func (p *program) steps() map[string]func(context.Context) (any, error) {
	return map[string]func(context.Context) (any, error){
		"open_pool":         p.openPool,
		"every_mode":        p.everyMode,
		"text_and_binary":   p.textAndBinary,
		"types":             p.types,
		"refusals":          p.refusals,
		"transactions":      p.transactions,
		"batches":           p.batches,
		"copy_from":         p.copyFrom,
		"cancelled":         p.cancelled,
		"notified":          p.notified,
		"while_suspended":   p.whileSuspended,
		"again":             p.again,
		"stays_after_error": p.staysAfterError,
	}
}

func (p *program) openPool(ctx context.Context) (any, error) {
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.MaxConns = 4
	config.MinConns = 1
	config.HealthCheckPeriod = time.Second
	config.ConnConfig.RuntimeParams["application_name"] = "pgx"
	p.pool, err = pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	var name string
	err = p.pool.QueryRow(ctx, "SHOW application_name").Scan(&name)
	return name, err
}

func (p *program) everyMode(ctx context.Context) (any, error) {
	found := map[string]any{}
	for _, mode := range modes {
		var ids []int32
		for n := 1; n <= 3; n++ {
			var id int32
			var ssn string
			row := p.pool.QueryRow(ctx, "SELECT id, ssn FROM customers WHERE id = $1", mode, n)
			if err := row.Scan(&id, &ssn); err != nil {
				return nil, fmt.Errorf("%v: %w", mode, err)
			}
			if !masked.MatchString(ssn) {
				return nil, fmt.Errorf("%v: not masked", mode)
			}
			ids = append(ids, id)
		}
		_, err := p.pool.Exec(ctx, "DELETE FROM orders WHERE id = $1", mode, 1)
		found[mode.String()] = []any{ids, sqlstate(err)}
	}
	return found, nil
}

func (p *program) textAndBinary(ctx context.Context) (any, error) {
	var found []string
	for _, format := range []int16{pgx.TextFormatCode, pgx.BinaryFormatCode} {
		formats := pgx.QueryResultFormats{format, format}
		rows, err := p.pool.Query(ctx, "SELECT ssn, id FROM customers WHERE id <= $1 ORDER BY id", formats, 2)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			found = append(found, string(rows.RawValues()[0]))
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (p *program) types(ctx context.Context) (any, error) {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	types, err := conn.Conn().LoadTypes(ctx, []string{"mood", "_mood", "home"})
	if err != nil {
		return nil, err
	}
	conn.Conn().TypeMap().RegisterTypes(types)
	single, err := conn.Conn().LoadType(ctx, "home")
	if err != nil {
		return nil, err
	}
	var mood string
	var moods []string
	var home struct{ Street, City string }
	err = conn.QueryRow(ctx, "SELECT mood, moods, home FROM residents WHERE id = 1").Scan(&mood, &moods, &home)
	return []any{mood, moods, home.City, single.Name}, err
}

func (p *program) refusals(ctx context.Context) (any, error) {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	var states []string
	for n := 0; n < 3; n++ {
		_, err := conn.Exec(ctx, "DELETE FROM orders WHERE id = $1", n)
		states = append(states, sqlstate(err))
		var one int
		if err := conn.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil {
			return nil, err
		}
	}
	return states, nil
}

func (p *program) transactions(ctx context.Context) (any, error) {
	var states []string
	err := pgx.BeginTxFunc(ctx, p.pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO products VALUES (9500, 'kept', 1)"); err != nil {
			return err
		}
		inner := pgx.BeginFunc(ctx, tx, func(nested pgx.Tx) error {
			if _, err := nested.Exec(ctx, "INSERT INTO products VALUES (9501, 'not kept', 1)"); err != nil {
				return err
			}
			_, err := nested.Exec(ctx, "DELETE FROM orders WHERE id = 1")
			return err
		})
		states = append(states, sqlstate(inner))
		return nil
	})
	if err != nil {
		return nil, err
	}
	outer := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO products VALUES (9502, 'not kept', 1)"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM orders WHERE id = 1")
		return err
	})
	states = append(states, sqlstate(outer))
	rows, err := p.pool.Query(ctx, "DELETE FROM products WHERE id >= 9500 RETURNING id")
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	return []any{states, ids}, err
}

func (p *program) batches(ctx context.Context) (any, error) {
	var sums []int
	for _, mode := range modes[:4] {
		config := p.pool.Config().ConnConfig
		config.DefaultQueryExecMode = mode
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return nil, err
		}
		batch := &pgx.Batch{}
		sum := 0
		for n := 1; n <= 60; n++ {
			batch.Queue("SELECT $1::int", n).QueryRow(func(row pgx.Row) error {
				var got int
				err := row.Scan(&got)
				sum += got
				return err
			})
		}
		if err := conn.SendBatch(ctx, batch).Close(); err != nil {
			return nil, err
		}
		sums = append(sums, sum)
		bad := &pgx.Batch{}
		bad.Queue("INSERT INTO products VALUES (9600, 'not kept', 1)")
		bad.Queue("DELETE FROM orders WHERE id = $1", 1)
		bad.Queue("INSERT INTO products VALUES (9601, 'not kept', 1)")
		if state := sqlstate(conn.SendBatch(ctx, bad).Close()); state != "42501" {
			return nil, fmt.Errorf("%v: %s", mode, state)
		}
		var left int
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM products WHERE id >= 9600").Scan(&left); err != nil {
			return nil, err
		}
		sums = append(sums, left)
		if err := conn.Close(ctx); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

func (p *program) copyFrom(ctx context.Context) (any, error) {
	rows := make([][]any, 500)
	for n := range rows {
		rows[n] = []any{int32(9700 + n), "copied", pgtype.Numeric{Valid: true}}
	}
	copied, err := p.pool.CopyFrom(ctx, pgx.Identifier{"products"}, []string{"id", "name", "price"}, pgx.CopyFromRows(rows))
	if err != nil {
		return nil, err
	}
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	var out strings.Builder
	_, err = conn.Conn().PgConn().CopyTo(ctx, &out, "COPY (SELECT ssn FROM customers ORDER BY id LIMIT 2) TO STDOUT")
	if err != nil {
		return nil, err
	}
	tag, err := conn.Exec(ctx, "DELETE FROM products WHERE id >= 9700")
	return []any{copied, out.String(), tag.RowsAffected()}, err
}

func (p *program) cancelled(ctx context.Context) (any, error) {
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	_, err := p.pool.Exec(short, endless)
	timedOut := errors.Is(err, context.DeadlineExceeded)
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, endless)
		ended <- err
	}()
	for {
		if err := conn.Conn().PgConn().CancelRequest(ctx); err != nil {
			return nil, err
		}
		select {
		case err := <-ended:
			var one int
			state := sqlstate(err)
			err = conn.QueryRow(ctx, "SELECT 1").Scan(&one)
			return []any{timedOut, state, one}, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *program) notified(ctx context.Context) (any, error) {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "LISTEN jobs"); err != nil {
		return nil, err
	}
	if _, err := p.pool.Exec(ctx, "SELECT pg_notify('jobs', $1)", "work"); err != nil {
		return nil, err
	}
	note, err := conn.Conn().WaitForNotification(ctx)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "UNLISTEN *")
	return []any{note.Channel, note.Payload}, err
}

// staysAfterError tells whether the pool still has the connection on which a statement was refused.
func (p *program) staysAfterError(ctx context.Context) (any, error) {
	before := p.pool.Stat().NewConnsCount()
	for n := 0; n < 20; n++ {
		if _, err := p.pool.Exec(ctx, "DELETE FROM orders"); sqlstate(err) != "42501" {
			return nil, err
		}
	}
	return p.pool.Stat().NewConnsCount() - before, nil
}

// whileSuspended asks until no connection is left that has not seen its end yet.
func (p *program) whileSuspended(ctx context.Context) (any, error) {
	for n := 0; n < 20; n++ {
		_, err := p.pool.Exec(ctx, "SELECT 1")
		if err == nil {
			return "answered", nil
		}
		if sqlstate(err) == "28000" {
			return "28000", nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "no refusal", nil
}

func (p *program) again(ctx context.Context) (any, error) {
	var one int
	err := p.pool.QueryRow(ctx, "SELECT 1").Scan(&one)
	return one, err
}

func sqlstate(err error) string {
	var ours *pgconn.PgError
	if errors.As(err, &ours) {
		return ours.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "soak" {
		if err := soak(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	steps := (&program{}).steps()
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		ctx, stop := context.WithTimeout(context.Background(), 40*time.Second)
		value, err := steps[lines.Text()](ctx)
		stop()
		answer := map[string]any{"value": value}
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		if err := out.Encode(answer); err != nil {
			panic(err)
		}
	}
}
