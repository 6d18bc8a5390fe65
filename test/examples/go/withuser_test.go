// withuser_test.go: two users of pgx, who share one connection behind PgBouncer.
package notes

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

var ctx = context.Background()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWithUser(t *testing.T) {
	file, err := os.ReadFile(os.Getenv("EXAMPLES_TOKENS"))
	must(t, err)
	var tokens map[string]map[string]string
	must(t, json.Unmarshal(file, &tokens))
	token := func(name string) *string { value := tokens[name][""]; return &value }
	must(t, exec.Command(os.Getenv("EXAMPLES_PSQL"), "-Xqc", "TRUNCATE notes").Run())

	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	must(t, err)
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	pool, err := pgxpool.NewWithConfig(ctx, config)
	must(t, err)
	defer pool.Close()

	bodies := func(token *string) (found []string, err error) {
		err = WithUser(ctx, pool, token, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, "SELECT body FROM notes ORDER BY id")
			if err != nil {
				return err
			}
			found, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		return
	}
	add := func(token *string, body string) (owner string, err error) {
		err = WithUser(ctx, pool, token, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, "INSERT INTO notes (body) VALUES ($1) RETURNING user_id", body).Scan(&owner)
		})
		return
	}
	sees := func(t *testing.T, token *string, wanted ...string) {
		t.Helper()
		found, err := bodies(token)
		must(t, err)
		if len(found)+len(wanted) > 0 && !reflect.DeepEqual(found, wanted) {
			t.Errorf("got %v, wanted %v", found, wanted)
		}
	}

	t.Run("an insert is in the name of whose token it is", func(t *testing.T) {
		owner, err := add(token("ann"), "hello")
		must(t, err)
		if owner != "user_ann" {
			t.Error(owner)
		}
	})
	t.Run("everybody sees their own, nobody nothing", func(t *testing.T) {
		_, err := add(token("bea"), "bea's")
		must(t, err)
		sees(t, token("ann"), "hello")
		sees(t, token("bea"), "bea's")
		sees(t, nil)
	})
	t.Run("what fails is undone", func(t *testing.T) {
		mine := errors.New("changed my mind")
		err := WithUser(ctx, pool, token("ann"), func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM notes")
			must(t, err)
			return mine
		})
		if !errors.Is(err, mine) || IsTokenRefused(err) {
			t.Error(err)
		}
		sees(t, token("ann"), "hello")
	})
	t.Run("a refused token is known as such, with the reason", func(t *testing.T) {
		_, err := bodies(token("ann_expired"))
		if !IsTokenRefused(err) || !strings.Contains(err.Error(), "token-expired") || strings.Contains(err.Error(), *token("ann_expired")) {
			t.Error(err)
		}
	})
	t.Run("what a policy refuses is not", func(t *testing.T) {
		if _, err := add(nil, "x"); err == nil || IsTokenRefused(err) {
			t.Error(err)
		}
	})
}
