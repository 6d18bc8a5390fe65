"""psycopg 3: transactions of a user."""
from contextlib import contextmanager

import psycopg


@contextmanager
def user_transaction(connection, token):
    """A transaction of whoever the token is of, None for nobody; an error within it, or a refused token, undoes it."""
    with connection.transaction():
        connection.execute("SELECT clerk.authenticate(%s)", [token])
        yield connection
        # PostgreSQL would roll it back without an error
        if connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            raise psycopg.errors.InFailedSqlTransaction("a statement has failed")


def is_token_refused(error):
    """Was it the token? The reason is in the message; the token is not."""
    return isinstance(error, psycopg.Error) and error.sqlstate == "PT401"
