package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var ended = regexp.MustCompile(`(?i)closed|reset|broken pipe|EOF`)

// tally is what this client believes; see ClientTally of the soak.
type tally struct {
	Name      string         `json:"name"`
	Logins    int            `json:"logins"`
	Refused   int            `json:"refused"`
	Inserted  int            `json:"inserted"`
	Lost      int            `json:"lost"`
	Cancelled int            `json:"cancelled"`
	Bare      int            `json:"bare"`
	Answered  int            `json:"answered"`
	Strange   map[string]int `json:"strange"`
}

type soaker struct {
	pool  *pgxpool.Pool
	mutex sync.Mutex
	tally tally
}

// soak works until its input ends, and prints its tally then.
func soak() error {
	ctx := context.Background()
	s := &soaker{tally: tally{Name: "pgx", Strange: map[string]int{}}}
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return err
	}
	config.MaxConns = 4
	config.MaxConnLifetime = 15 * time.Second
	config.HealthCheckPeriod = time.Second
	config.AfterConnect = func(context.Context, *pgx.Conn) error {
		s.add(func(t *tally) { t.Logins++ })
		return nil
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	stopping := make(chan struct{})
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() { s.work(ctx, stopping) })
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	close(stopping)
	workers.Wait()
	s.pool.Close()
	return json.NewEncoder(os.Stdout).Encode([]tally{s.tally})
}

func (s *soaker) add(change func(*tally)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change(&s.tally)
}

func (s *soaker) work(ctx context.Context, stopping <-chan struct{}) {
	steps := []func(context.Context) error{
		s.read, s.read, s.read, s.toggled, s.insert, s.refusal, s.failure, s.batch, s.copy, s.cancel,
	}
	for {
		select {
		case <-stopping:
			return
		case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond):
		}
		s.count(steps[rand.IntN(len(steps))](ctx))
	}
}

func (s *soaker) count(err error) {
	var ours *pgconn.PgError
	code := ""
	if errors.As(err, &ours) {
		code = ours.Code
	}
	if code == "28000" {
		// Turned away while suspended: nothing was sent.
		time.Sleep(100 * time.Millisecond)
		return
	}
	s.add(func(t *tally) {
		switch {
		case err == nil || code == "22012":
			t.Answered++
		case code == "42501":
			t.Refused++
		case code == "57014" || errors.Is(err, context.DeadlineExceeded):
			t.Cancelled++
		case code == "57P01" || code == "" && ended.MatchString(err.Error()):
			t.Lost++
		default:
			t.Strange[fmt.Sprintf("%s %v", code, err)]++
		}
	})
}

func (s *soaker) read(ctx context.Context) error {
	mode := modes[rand.IntN(len(modes))]
	var id int32
	var ssn string
	err := s.pool.QueryRow(ctx, "SELECT id, ssn FROM customers WHERE id = $1", mode, 1+rand.IntN(200)).Scan(&id, &ssn)
	if err == nil && !masked.MatchString(ssn) {
		s.add(func(t *tally) { t.Bare++ })
	}
	return err
}

func (s *soaker) toggled(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "SELECT name FROM products WHERE id = $1", 1+rand.IntN(50))
	return err
}

func (s *soaker) insert(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO soak_log (client) VALUES ($1)", "pgx")
		return err
	})
	if err == nil {
		s.add(func(t *tally) { t.Inserted++ })
	}
	return err
}

func (s *soaker) refusal(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "DELETE FROM orders WHERE id = $1", 1)
	return err
}

func (s *soaker) failure(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "SELECT 1/0")
	return err
}

func (s *soaker) batch(ctx context.Context) error {
	batch := &pgx.Batch{}
	for n := range 20 {
		batch.Queue("SELECT $1::int", n)
	}
	return s.pool.SendBatch(ctx, batch).Close()
}

func (s *soaker) copy(ctx context.Context) error {
	_, err := s.pool.CopyFrom(ctx, pgx.Identifier{"soak_copy"}, []string{"id", "body"},
		pgx.CopyFromSlice(200, func(n int) ([]any, error) { return []any{n, "copied"}, nil }))
	return err
}

func (s *soaker) cancel(ctx context.Context) error {
	short, stop := context.WithTimeout(ctx, time.Duration(50+rand.IntN(100))*time.Millisecond)
	defer stop()
	_, err := s.pool.Exec(short, endless)
	return err
}
