/*
 * clerk_rls_test.c
 *		The key pair of the throw-away instance, what it signs, and its end.
 *
 * RSA of 2048 bits and RS256, since that is what Clerk's instances have.  Everything else is
 * SQL.  An OpenSSL handle never lives across a call that can raise.
 */
#include "postgres.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/parsenodes.h"

PG_MODULE_MAGIC;

#define KEY_BITS 2048
#define SIGNATURE_LENGTH (KEY_BITS / 8)
#define MAX_DER 2048 /* the private key takes some 1200 bytes, the public one 300 */

typedef struct Der
{
	int len;
	unsigned char data[MAX_DER];
} Der;

static bool
generate(Der *private_key, Der *public_key)
{
	EVP_PKEY *key = EVP_RSA_gen(KEY_BITS);
	unsigned char *private_end = private_key->data;
	unsigned char *public_end = public_key->data;
	bool done = key != NULL && i2d_PrivateKey(key, NULL) <= MAX_DER &&
				i2d_PUBKEY(key, NULL) <= MAX_DER;

	if (done)
	{
		private_key->len = i2d_PrivateKey(key, &private_end);
		public_key->len = i2d_PUBKEY(key, &public_end);
		done = private_key->len > 0 && public_key->len > 0;
	}
	EVP_PKEY_free(key);
	return done;
}

static bytea *
bytea_of(const Der *der)
{
	bytea *copy = palloc(VARHDRSZ + der->len);

	SET_VARSIZE(copy, VARHDRSZ + der->len);
	memcpy(VARDATA(copy), der->data, der->len);
	return copy;
}

PG_FUNCTION_INFO_V1(clerk_rls_test_generate_key);

/* A new private key, and the SubjectPublicKeyInfo of its public one. */
Datum
clerk_rls_test_generate_key(PG_FUNCTION_ARGS)
{
	Der private_key, public_key;
	TupleDesc desc;
	Datum values[2];
	bool nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!generate(&private_key, &public_key))
		ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
						errmsg("OpenSSL could not make a key pair")));
	values[0] = PointerGetDatum(bytea_of(&private_key));
	values[1] = PointerGetDatum(bytea_of(&public_key));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

static bool
sign(const bytea *private_key, const bytea *text, unsigned char *signature)
{
	const unsigned char *der = (const unsigned char *) VARDATA_ANY(private_key);
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, VARSIZE_ANY_EXHDR(private_key));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = SIGNATURE_LENGTH;
	bool done =
		key != NULL && ctx != NULL && EVP_PKEY_get_size(key) == SIGNATURE_LENGTH &&
		EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestSign(ctx, signature, &len, (const unsigned char *) VARDATA_ANY(text),
					   VARSIZE_ANY_EXHDR(text)) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return done;
}

PG_FUNCTION_INFO_V1(clerk_rls_test_sign);

/* The RS256 signature of some bytes. */
Datum
clerk_rls_test_sign(PG_FUNCTION_ARGS)
{
	bytea *private_key = PG_GETARG_BYTEA_PP(0);
	bytea *text = PG_GETARG_BYTEA_PP(1);
	bytea *signature = palloc(VARHDRSZ + SIGNATURE_LENGTH);

	SET_VARSIZE(signature, VARHDRSZ + SIGNATURE_LENGTH);
	if (!sign(private_key, text, (unsigned char *) VARDATA(signature)))
		ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
						errmsg("OpenSSL could not sign")));
	PG_RETURN_BYTEA_P(signature);
}

static void
delete_instance(void)
{
	SPI_connect();
	if (SPI_execute("DELETE FROM clerk.instances "
					"WHERE issuer OPERATOR(pg_catalog.=) 'https://clerk.test.invalid'",
					false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete the instance");
	SPI_finish();
}

PG_FUNCTION_INFO_V1(clerk_rls_test_before_drop);

/*
 * Event trigger, before DROP EXTENSION: if it is this one, the instance goes first.  Only
 * the parse tree says which extension it is, and that is nothing for PL/pgSQL.
 */
Datum
clerk_rls_test_before_drop(PG_FUNCTION_ARGS)
{
	DropStmt *statement;
	ListCell *cell;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("can only be called as an event trigger")));
	statement = castNode(DropStmt, ((EventTriggerData *) fcinfo->context)->parsetree);
	foreach (cell, statement->objects)
	{
		if (strcmp(strVal(lfirst(cell)), "clerk_rls_test") == 0)
			delete_instance();
	}
	PG_RETURN_NULL();
}
