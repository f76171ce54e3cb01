/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * key.c: OpenSSL reads it, in any of the forms of PEM.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "decrypt/key.h"

#define PASSPHRASE_MOST 1024

/* Where the passphrase comes from, and whether it was asked for. */
typedef struct passphrase_t {
    const char *text; /* NULL: from the terminal */
    bool asked;
} passphrase_t;

static int give_passphrase(char *to, int space, int writing, void *context)
{
    passphrase_t *passphrase = context;
    int size;

    passphrase->asked = true;
    if (passphrase->text == NULL) {
        return EVP_read_pw_string(to, space, "passphrase of the private key: ", 0) == 0
                   ? (int)strlen(to)
                   : -1;
    }
    size = (int)strlen(passphrase->text);
    if (size > space) {
        return -1;
    }
    memcpy(to, passphrase->text, (size_t)size);
    return size;
}

/* The first line of a file. */
static udm_error_t *read_passphrase(char *text, apr_pool_t *p, const char *path)
{
    FILE *file = fopen(path, "re");
    bool got;

    if (file == NULL) {
        return udm_error_make(p, UDM_E_STORE, "%s: cannot be opened: %s", path, strerror(errno));
    }
    setvbuf(file, NULL, _IONBF, 0);
    got = fgets(text, PASSPHRASE_MOST, file) != NULL;
    fclose(file);
    if (!got) {
        return udm_error_make(p, UDM_E_STORE, "%s: has no passphrase in it", path);
    }
    text[strcspn(text, "\r\n")] = '\0';
    return NULL;
}

static apr_status_t key_free(void *data)
{
    EVP_PKEY_free(data);
    return APR_SUCCESS;
}

udm_error_t *udm_key_read(EVP_PKEY **key, apr_pool_t *p, const char *path,
                          const char *passphrase_file)
{
    char text[PASSPHRASE_MOST] = "";
    passphrase_t passphrase = {NULL, false};
    udm_error_t *error = NULL;
    BIO *in;

    if (passphrase_file != NULL) {
        error = read_passphrase(text, p, passphrase_file);
        passphrase.text = text;
    }
    if (error != NULL) {
        return error;
    }
    errno = 0;
    in = BIO_new_file(path, "r");
    if (in == NULL) {
        error = udm_error_make(p, UDM_E_STORE, "%s: cannot be opened: %s", path, strerror(errno));
        ERR_clear_error();
        return error;
    }
    *key = PEM_read_bio_PrivateKey(in, NULL, give_passphrase, &passphrase);
    BIO_free(in);
    OPENSSL_cleanse(text, sizeof(text));
    ERR_clear_error();
    if (*key == NULL) {
        return udm_error_make(p, UDM_E_CERTIFICATE,
                              passphrase.asked
                                  ? "%s: the private key cannot be read: wrong passphrase?"
                                  : "%s: is no private key in PEM",
                              path);
    }
    apr_pool_cleanup_register(p, *key, key_free, apr_pool_cleanup_null);
    if (!EVP_PKEY_is_a(*key, "RSA") && !EVP_PKEY_is_a(*key, "EC")) {
        return udm_error_make(p, UDM_E_CERTIFICATE, "%s: is neither an RSA nor an EC key", path);
    }
    return NULL;
}
