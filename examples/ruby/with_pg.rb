# The gem pg: transactions of a user.
require 'pg'

# A transaction of whoever the token is of, nil for nobody; an error within it, or a refused token, undoes it.
def user_transaction(connection, token)
  connection.transaction do
    connection.exec_params('SELECT clerk.authenticate($1)', [token])
    result = yield connection
    # PostgreSQL would roll it back without an error
    raise PG::InFailedSqlTransaction, 'a statement has failed' if connection.transaction_status == PG::PQTRANS_INERROR
    result
  end
end

# Was it the token? The reason is in the message; the token is not.
def token_refused?(error)
  error.is_a?(PG::Error) && error.result&.error_field(PG::Result::PG_DIAG_SQLSTATE) == 'PT401'
end
