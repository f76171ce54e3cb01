/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.c: the choice of algorithms, told to OpenSSL.
 */
#include <stdbool.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "core/seal.h"

/* How the content's key is encrypted: OpenSSL's own choice would be PKCS #1 v1.5, or SHA-1. */
static bool set_key_encryption(CMS_RecipientInfo *info, X509 *x509)
{
    EVP_PKEY_CTX *context = info ? CMS_RecipientInfo_get0_pkey_ctx(info) : NULL;
    const EVP_PKEY *key = X509_get0_pubkey(x509);

    if (!context || !key) {
        return false;
    }
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        /* The key that is agreed on wraps with AES-256, by the size of the content's key. */
        return EVP_PKEY_CTX_set_ecdh_kdf_md(context, EVP_sha256()) > 0;
    }
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) > 0 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) > 0;
}

static CMS_ContentInfo *make_smime(X509 *x509, unsigned flags)
{
    STACK_OF(X509) *certificates = sk_X509_new_null();
    CMS_ContentInfo *cms = NULL;

    if (certificates && sk_X509_push(certificates, x509) > 0) {
        cms = CMS_encrypt(certificates, NULL, EVP_aes_256_cbc(), flags);
    }
    sk_X509_free(certificates);
    return cms;
}

CMS_ContentInfo *udm_seal_make(X509 *x509, udm_encryption encryption, unsigned flags)
{
    CMS_ContentInfo *cms;

    flags |= CMS_PARTIAL | CMS_BINARY;
    if (encryption == UDM_ENCRYPTION_SMIME) {
        return make_smime(x509, flags);
    }
    cms = CMS_encrypt(NULL, NULL, EVP_aes_256_gcm(), flags);
    if (cms &&
        !set_key_encryption(CMS_add1_recipient_cert(cms, x509, flags | CMS_KEY_PARAM), x509)) {
        CMS_ContentInfo_free(cms);
        cms = NULL;
    }
    return cms;
}
