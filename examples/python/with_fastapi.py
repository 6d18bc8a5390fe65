"""FastAPI: a dependency that is a session of whoever made the request."""
import os
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from with_sqlalchemy import is_token_refused, user_session

# hide_parameters: SQLAlchemy's errors would have the token in their text
engine = create_engine(os.environ["DATABASE_URL"].replace("postgres://", "postgresql+psycopg://"), hide_parameters=True)


def database(authorization: Annotated[str | None, Header()] = None):
    token = authorization.removeprefix("Bearer ") if authorization else None
    with user_session(engine, token) as session, session.begin():
        try:
            session.connection()  # signs in
        except DBAPIError as error:
            if not is_token_refused(error):
                raise
            raise HTTPException(401, error.orig.diag.message_primary) from None
        yield session


# scope: the transaction ends before the answer is sent, not after
Database = Annotated[Session, Depends(database, scope="function")]
app = FastAPI()


@app.get("/notes")
def notes(db: Database):
    return db.execute(text("SELECT body FROM notes ORDER BY id")).scalars().all()


@app.post("/notes", status_code=201)
def add(body: str, db: Database):
    return db.execute(text("INSERT INTO notes (body) VALUES (:body) RETURNING user_id"), {"body": body}).scalar_one()
