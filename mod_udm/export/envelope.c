/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.c: OpenSSL makes and streams the CMS; its DER comes out into a BIO of ours, which gathers
 * it into blocks. A block becomes base64 lines where text is wanted, is hashed and goes to the sink:
 * behind a relay, so that encrypting the next one does not wait for that. An envelope of less than a
 * block has no relay, for a thread would cost more than it saves.
 *
 * What is streamed has indefinite lengths (BER), for its length comes first and is known last. What is
 * whole in memory at the end anyway has definite ones (DER), which every reader takes.
 */
#include <stdint.h>
#include <stdlib.h>

#include <apr_escape.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/seal.h"
#include "core/text.h"
#include "export/base64.h"
#include "export/envelope.h"
#include "export/relay.h"

static const char mime_head[] = "MIME-Version: 1.0\n"
                                "Content-Disposition: attachment; filename=\"smime.p7m\"\n"
                                "Content-Type: application/pkcs7-mime;"
                                " smime-type=enveloped-data; name=\"smime.p7m\"\n"
                                "Content-Transfer-Encoding: base64\n"
                                "\n";
static const char mime_end[] = "\n";

/* 48 bytes of DER are one line of 64 characters and its end. */
#define LINE_IN  48
#define LINE_OUT 65

/* DER in a block; whole lines. */
#define DER_SIZE (LINE_IN * 1024)

/* Plain bytes that are gathered before they go to OpenSSL. */
#define PLAIN_SIZE UDM_ENVELOPE_WHOLE

/* OpenSSL's cipher BIO writes pieces of about 4 KiB, each an OCTET STRING of its own. Half of that
 * is what udm_recipient_capacity counts with; udm_envelope_finish checks nothing, the tests do. */
#define PIECE_SIZE 2048
#define PIECE_HEAD 4

#define CIPHER_BLOCK 16

/* The most that may be encrypted with GCM under one key and nonce (NIST SP 800-38D, 5.2.1.1). */
#define GCM_MOST ((APR_INT64_C(1) << 36) - 32)

struct udm_recipient_t {
    apr_pool_t *pool;
    udm_encryption encryption;
    X509 *x509;
    BIO_METHOD *method;
    apr_int64_t least_der; /* bytes of DER of an envelope with one byte in it */
};

struct udm_envelope_t {
    apr_pool_t *pool;
    udm_sink_t sink;
    bool is_text;
    bool is_begun; /* OpenSSL has got something to encrypt */
    CMS_ContentInfo *cms;
    BIO *out;   /* ours: takes DER */
    BIO *chain; /* OpenSSL's: takes plain bytes; made for the first of them */
    EVP_MD_CTX *hash;
    unsigned char *plain;
    apr_size_t plain_size;
    udm_block_t *der;   /* being filled */
    udm_relay_t *relay; /* NULL: not started, or ended */
    udm_error_t *error; /* of what the BIO does, which cannot return one */
    apr_int64_t der_total;
    /* From here on of the other thread, while there is one. */
    apr_pool_t *text_pool;
    char *text;       /* NULL where none is wanted */
    apr_int64_t size; /* of all that was emitted */
};

static udm_error_t *openssl_error(apr_pool_t *p, udm_error_kind kind, const char *reason)
{
    char text[160];

    ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
    ERR_clear_error();
    return udm_error_detail(p, udm_error_make(p, kind, "%s", reason), "%s", text);
}

static udm_error_t *emit(udm_envelope_t *e, const void *data, apr_size_t size)
{
    if (EVP_DigestUpdate(e->hash, data, size) != 1) {
        return openssl_error(e->text_pool, UDM_E_INTERNAL, "SHA-256 cannot be computed");
    }
    e->size += (apr_int64_t)size;
    return e->sink.write != NULL ? e->sink.write(e->sink.context, data, size) : NULL;
}

/* DER as lines of text. All but the last call have whole lines of it. */
static apr_size_t make_lines(char *text, const unsigned char *der, apr_size_t size)
{
    char *to = text;

    for (apr_size_t at = 0; at < size; at += LINE_IN) {
        to = udm_base64(to, der + at, size - at < LINE_IN ? size - at : LINE_IN);
        *to++ = '\n';
    }
    return (apr_size_t)(to - text);
}

/* Hands a block of DER on, in whichever thread. */
static udm_error_t *emit_block(void *context, const udm_block_t *block)
{
    udm_envelope_t *e = context;
    const udm_buffer_t *der = block->bytes;

    if (!e->is_text) {
        return emit(e, der->data, der->size);
    }
    return emit(e, e->text, make_lines(e->text, (const unsigned char *)der->data, der->size));
}

/* Ends the other thread. @return its error */
static udm_error_t *end_relay(udm_envelope_t *e, bool abort)
{
    udm_error_t *error = NULL;

    if (e->relay != NULL) {
        error = udm_relay_finish(e->relay, abort);
        e->relay = NULL;
    }
    return error;
}

static udm_error_t *put_block(udm_envelope_t *e)
{
    udm_error_t *error = NULL;

    e->der_total += (apr_int64_t)e->der->bytes->size;
    if (e->relay == NULL) {
        e->text_pool = udm_relay_pool(e->pool);
        error = udm_relay_start(&e->relay, e->pool, emit_block, e);
    }
    if (error == NULL && !udm_relay_put(e->relay, e->der)) {
        error = end_relay(e, true);
    }
    if (error == NULL) {
        e->der = udm_relay_block(e->relay);
        udm_buffer_reserve(e->der->bytes, DER_SIZE);
    }
    return error;
}

/* The last block; after it there is no other thread. */
static udm_error_t *put_last(udm_envelope_t *e)
{
    e->der_total += (apr_int64_t)e->der->bytes->size;
    if (e->relay == NULL) {
        return emit_block(e, e->der);
    }
    return end_relay(e, !udm_relay_put(e->relay, e->der));
}

static int out_write(BIO *bio, const char *data, size_t size, size_t *written)
{
    udm_envelope_t *e = BIO_get_data(bio);
    size_t left = size;

    *written = 0;
    if (e->error != NULL) {
        return 0;
    }
    while (left != 0) {
        apr_size_t take = DER_SIZE - e->der->bytes->size;

        if (take > left) {
            take = left;
        }
        udm_buffer_add(e->der->bytes, data, take);
        data += take;
        left -= take;
        if (e->der->bytes->size == DER_SIZE) {
            e->error = put_block(e);
            if (e->error != NULL) {
                return 0;
            }
        }
    }
    *written = size;
    return 1;
}

static long out_ctrl(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static apr_status_t recipient_free(void *data)
{
    udm_recipient_t *recipient = data;

    X509_free(recipient->x509);
    BIO_meth_free(recipient->method);
    return APR_SUCCESS;
}

static udm_error_t *push_plain(udm_envelope_t *e);

static bool is_rsa(const udm_recipient_t *recipient)
{
    const EVP_PKEY *key = X509_get0_pubkey(recipient->x509);

    return key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
}

/* Measures what an envelope takes, without what is in it. */
static udm_error_t *measure(udm_recipient_t *recipient, apr_pool_t *p)
{
    static const udm_sink_t nowhere = {NULL, NULL};
    udm_envelope_t *envelope;
    const char *sha256;
    apr_int64_t size;
    apr_pool_t *scratch;
    udm_error_t *error;

    apr_pool_create(&scratch, p);
    error = udm_envelope_open(&envelope, scratch, recipient, &nowhere);
    if (error == NULL) {
        error = udm_envelope_write(envelope, "", 1);
    }
    if (error == NULL) { /* as it is streamed, which takes more */
        error = push_plain(envelope);
    }
    if (error == NULL) {
        error = udm_envelope_finish(&size, &sha256, scratch, envelope);
    }
    if (error == NULL) {
        recipient->least_der = envelope->der_total;
    }
    else {
        error = udm_error_copy(p, error);
        error->kind = UDM_E_CERTIFICATE;
    }
    apr_pool_destroy(scratch);
    return error;
}

udm_error_t *udm_recipient_make(udm_recipient_t **recipient, apr_pool_t *p, const char *pem,
                                udm_encryption encryption)
{
    udm_recipient_t *r = apr_pcalloc(p, sizeof(*r));
    BIO *in = BIO_new_mem_buf(pem, -1);

    r->pool = p;
    r->encryption = encryption;
    r->x509 = in != NULL ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    BIO_free(in);
    /* No index of its own: a process has 127 of them, and libpq's first TLS connection needs one. */
    r->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "udm envelope");
    apr_pool_cleanup_register(p, r, recipient_free, apr_pool_cleanup_null);
    if (r->x509 == NULL) {
        return openssl_error(p, UDM_E_CERTIFICATE, "the certificate cannot be read");
    }
    if (encryption == UDM_ENCRYPTION_SMIME && !is_rsa(r)) {
        return udm_error_make(p, UDM_E_CERTIFICATE,
                              "S/MIME needs a certificate with an RSA key, and this has another");
    }
    if (r->method == NULL || !BIO_meth_set_write_ex(r->method, out_write) ||
        !BIO_meth_set_ctrl(r->method, out_ctrl)) {
        return openssl_error(p, UDM_E_INTERNAL, "the encryption cannot be set up");
    }
    *recipient = r;
    return measure(r, p);
}

udm_encryption udm_recipient_encryption(const udm_recipient_t *recipient)
{
    return recipient->encryption;
}

apr_int64_t udm_recipient_capacity(const udm_recipient_t *recipient, apr_int64_t limit)
{
    bool gcm = recipient->encryption == UDM_ENCRYPTION_CMS_GCM;
    apr_int64_t der = limit;
    apr_int64_t data;

    if (!gcm) {
        der -= (apr_int64_t)(sizeof(mime_head) - 1 + sizeof(mime_end) - 1);
        der = der / LINE_OUT * LINE_IN;
    }
    data = der - recipient->least_der - PIECE_HEAD;
    if (data <= 0) {
        return 0;
    }
    data -= (data / (PIECE_SIZE + PIECE_HEAD) + 1) * PIECE_HEAD;
    if (!gcm) { /* which takes no padding, but not any size */
        data -= data % CIPHER_BLOCK + 1;
    }
    else if (data > GCM_MOST) {
        data = GCM_MOST;
    }
    return data > 0 ? data : 0;
}

/* Frees OpenSSL's part of the chain, then ours. */
static void free_chain(udm_envelope_t *e)
{
    while (e->chain != NULL && e->chain != e->out) {
        BIO *next = BIO_pop(e->chain);

        BIO_free(e->chain);
        e->chain = next;
    }
    BIO_free(e->out);
    e->chain = e->out = NULL;
    CMS_ContentInfo_free(e->cms);
    e->cms = NULL;
}

/* Before anything goes that the other thread may be at. */
static apr_status_t envelope_end(void *data)
{
    (void)end_relay(data, true);
    return APR_SUCCESS;
}

static apr_status_t envelope_free(void *data)
{
    udm_envelope_t *e = data;

    free_chain(e);
    EVP_MD_CTX_free(e->hash);
    if (e->plain != NULL) {
        OPENSSL_cleanse(e->plain, PLAIN_SIZE);
    }
    free(e->plain);
    free(e->text);
    ERR_clear_error();
    return APR_SUCCESS;
}

udm_error_t *udm_envelope_open(udm_envelope_t **envelope, apr_pool_t *p,
                               const udm_recipient_t *recipient, const udm_sink_t *sink)
{
    udm_envelope_t *e = apr_pcalloc(p, sizeof(*e));

    e->pool = p;
    e->sink = *sink;
    e->is_text = recipient->encryption == UDM_ENCRYPTION_SMIME;
    e->hash = EVP_MD_CTX_new();
    e->plain = malloc(PLAIN_SIZE);
    e->der = udm_block_make(p);
    udm_buffer_reserve(e->der->bytes, DER_SIZE);
    e->text_pool = p;
    e->text = e->is_text ? malloc(DER_SIZE / LINE_IN * LINE_OUT + 1) : NULL;
    e->out = BIO_new(recipient->method);
    apr_pool_pre_cleanup_register(p, e, envelope_end);
    apr_pool_cleanup_register(p, e, envelope_free, apr_pool_cleanup_null);
    if (e->hash == NULL || e->plain == NULL || (e->is_text && e->text == NULL) || e->out == NULL ||
        EVP_DigestInit_ex(e->hash, EVP_sha256(), NULL) != 1) {
        return openssl_error(p, UDM_E_INTERNAL, "the encryption cannot be set up");
    }
    BIO_set_data(e->out, e);
    BIO_set_init(e->out, 1);
    e->cms = udm_seal_make(recipient->x509, recipient->encryption, CMS_STREAM);
    if (e->cms == NULL) {
        return openssl_error(p, UDM_E_CERTIFICATE, "nothing can be encrypted for the certificate");
    }
    *envelope = e;
    return e->is_text ? emit(e, mime_head, sizeof(mime_head) - 1) : NULL;
}

/* Hands the plain bytes gathered so far to OpenSSL. */
static udm_error_t *push_plain(udm_envelope_t *e)
{
    apr_size_t done = 0;

    e->is_begun = true;
    if (e->chain == NULL) {
        e->chain = BIO_new_CMS(e->out, e->cms);
    }
    if (e->chain == NULL) {
        return openssl_error(e->pool, UDM_E_CERTIFICATE,
                             "nothing can be encrypted for the certificate");
    }
    while (done < e->plain_size) {
        int n = BIO_write(e->chain, e->plain + done, (int)(e->plain_size - done));

        /* A BIO that took a part of it says so even when the one below it failed. */
        if (e->error != NULL) {
            return e->error;
        }
        if (n <= 0) {
            return openssl_error(e->pool, UDM_E_INTERNAL, "the encryption failed");
        }
        done += (apr_size_t)n;
    }
    e->plain_size = 0;
    return NULL;
}

udm_error_t *udm_envelope_write(udm_envelope_t *envelope, const void *data, apr_size_t size)
{
    const unsigned char *from = data;

    while (size != 0) {
        apr_size_t room = PLAIN_SIZE - envelope->plain_size;
        apr_size_t take = size < room ? size : room;

        memcpy(envelope->plain + envelope->plain_size, from, take);
        envelope->plain_size += take;
        from += take;
        size -= take;
        if (envelope->plain_size == PLAIN_SIZE) {
            udm_error_t *error = push_plain(envelope);

            if (error != NULL) {
                return error;
            }
        }
    }
    return NULL;
}

/* All there is, with definite lengths; for what was not begun to be streamed. */
static udm_error_t *write_whole(udm_envelope_t *e)
{
    BIO *in = BIO_new_mem_buf(e->plain, (int)e->plain_size);
    udm_error_t *error = NULL;

    if (in == NULL || CMS_final(e->cms, in, NULL, CMS_BINARY) != 1) {
        error = openssl_error(e->pool, UDM_E_CERTIFICATE,
                              "nothing can be encrypted for the certificate");
    }
    else if (i2d_CMS_bio(e->out, e->cms) != 1) {
        error = openssl_error(e->pool, UDM_E_INTERNAL, "the encryption failed");
    }
    BIO_free(in);
    return error;
}

/* The end of what was streamed. */
static udm_error_t *end_stream(udm_envelope_t *e)
{
    udm_error_t *error = push_plain(e);

    if (error == NULL && BIO_flush(e->chain) <= 0) {
        error = openssl_error(e->pool, UDM_E_INTERNAL, "the encryption failed");
    }
    return error;
}

udm_error_t *udm_envelope_finish(apr_int64_t *size, const char **sha256, apr_pool_t *p,
                                 udm_envelope_t *envelope)
{
    unsigned char digest[UDM_SHA256_SIZE];
    udm_error_t *error;

    if (envelope->plain_size == 0 && !envelope->is_begun) {
        return udm_error_make(envelope->pool, UDM_E_INTERNAL, "an envelope must hold something");
    }
    error = envelope->is_begun ? end_stream(envelope) : write_whole(envelope);
    if (envelope->error != NULL) {
        error = envelope->error;
    }
    free_chain(envelope);
    if (error == NULL) {
        error = put_last(envelope);
    }
    if (error == NULL && envelope->is_text) {
        error = emit(envelope, mime_end, sizeof(mime_end) - 1);
    }
    if (error == NULL && EVP_DigestFinal_ex(envelope->hash, digest, NULL) != 1) {
        error = openssl_error(envelope->pool, UDM_E_INTERNAL, "SHA-256 cannot be computed");
    }
    if (error == NULL) {
        *size = envelope->size;
        *sha256 = apr_pescape_hex(p, digest, sizeof(digest), 0);
    }
    ERR_clear_error();
    return error;
}
