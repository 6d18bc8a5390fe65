"""SQLAlchemy: sessions of a user, in the first and every later transaction of the session."""
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session


def user_session(engine, token):
    """A Session as whoever the token is of, None for nobody. Create the engine with hide_parameters=True."""
    session = Session(engine)

    @event.listens_for(session, "after_begin")
    def authenticate(_session, _transaction, connection):
        connection.execute(text("SELECT clerk.authenticate(:token)"), {"token": token})

    return session


def is_token_refused(error):
    """Was it the token? The reason is in the message."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == "PT401"
