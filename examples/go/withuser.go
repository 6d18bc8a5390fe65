// Package notes shows pgx with clerk_rls: transactions of a user.
package notes

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Beginner is a *pgxpool.Pool or a *pgx.Conn.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// WithUser does the work in a transaction of whoever the token is of; nil is for nobody.
// An error of the work, or a refused token, undoes all of it.
func WithUser(ctx context.Context, db Beginner, token *string, work func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT clerk.authenticate($1)", token); err != nil {
			return err
		}
		return work(tx)
	})
}

// IsTokenRefused says whether it was the token; the reason is in the message, the token is not.
func IsTokenRefused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "PT401"
}
