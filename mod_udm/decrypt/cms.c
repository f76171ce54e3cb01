/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * cms.c: everything before the encrypted content is small. It is put together again around no
 * content at all, and OpenSSL reads that, finds the recipient and makes the cipher; the content
 * then goes through that cipher as it comes in.
 */
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>

#include "decrypt/ber.h"
#include "decrypt/cms.h"

/* All of the recipients and the like. */
#define HEAD_SIZE 131072

#define TAG_SIZE    16
#define BLOCK_SIZE  16
#define HEADER_MOST 8 /* of an element around HEAD_SIZE bytes */

static const unsigned char oid_enveloped[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                              0xf7, 0x0d, 0x01, 0x07, 0x03};
static const unsigned char oid_auth_enveloped[] = {0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                                   0x0d, 0x01, 0x09, 0x10, 0x01, 0x17};
static const unsigned char oid_data[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x07, 0x01};

struct udm_cms_t {
    apr_pool_t *pool;
    const char *path;
    udm_ber_t *ber;
    CMS_ContentInfo *info;
    BIO *bio;            /* OpenSSL's, which owns the cipher */
    EVP_CIPHER_CTX *ctx; /* the cipher */
    bool authenticated;
    bool ended;
    int depth;        /* how many elements are entered below it */
    apr_int64_t left; /* of the chunk under way */
};

static udm_error_t *damaged(udm_cms_t *c, const char *what)
{
    ERR_clear_error();
    return udm_error_make(c->pool, UDM_E_UNPROCESSABLE, "%s: %s", c->path, what);
}

static apr_status_t cms_free(void *data)
{
    udm_cms_t *c = data;

    BIO_free_all(c->bio);
    CMS_ContentInfo_free(c->info);
    ERR_clear_error();
    return APR_SUCCESS;
}

static bool is_element(const udm_ber_copy_t *copy, apr_size_t at, const unsigned char *wanted,
                       apr_size_t size)
{
    return copy->size - at == size && memcmp(copy->data + at, wanted, size) == 0;
}

/* Puts an element's header in front of copy[at...]. */
static void wrap(udm_ber_copy_t *copy, apr_size_t at, int tag, int class)
{
    unsigned char header[HEADER_MOST];
    unsigned char *to = header;
    apr_size_t size = copy->size - at;

    ASN1_put_object(&to, 1, (int)size, tag, class);
    memmove(copy->data + at + (to - header), copy->data + at, size);
    memcpy(copy->data + at, header, (apr_size_t)(to - header));
    copy->size += (apr_size_t)(to - header);
}

static udm_error_t *copy_next(udm_ber_copy_t *copy, udm_cms_t *c, unsigned char tag)
{
    udm_ber_element_t element;
    udm_error_t *error = udm_ber_expect(&element, c->ber, tag);

    return error != NULL ? error : udm_ber_copy(copy, c->ber, &element);
}

static udm_error_t *enter_next(udm_cms_t *c, unsigned char tag)
{
    udm_ber_element_t element;
    udm_error_t *error = udm_ber_expect(&element, c->ber, tag);

    return error != NULL ? error : udm_ber_enter(c->ber, &element);
}

/* Version, originator (rarely there) and recipients. */
static udm_error_t *copy_recipients(udm_ber_copy_t *copy, udm_cms_t *c)
{
    udm_ber_element_t element = {0};
    udm_error_t *error = copy_next(copy, c, UDM_BER_INTEGER);
    bool end = false;

    if (error == NULL) {
        error = udm_ber_next(&element, &end, c->ber);
    }
    if (error == NULL && !end && element.tag == (UDM_BER_CONTEXT(0) | UDM_BER_CONSTRUCTED)) {
        error = udm_ber_copy(copy, c->ber, &element);
        if (error == NULL) {
            error = udm_ber_next(&element, &end, c->ber);
        }
    }
    if (error == NULL && (end || element.tag != UDM_BER_SET)) {
        error = damaged(c, "is damaged: it names no recipients");
    }
    return error != NULL ? error : udm_ber_copy(copy, c->ber, &element);
}

/* Goes to the beginning of the content. */
static udm_error_t *open_content(udm_cms_t *c)
{
    udm_ber_element_t element;
    bool end;
    udm_error_t *error = udm_ber_next(&element, &end, c->ber);

    if (error != NULL) {
        return error;
    }
    if (!end && element.tag == UDM_BER_CONTEXT(0)) {
        c->left = element.size;
        return NULL;
    }
    if (!end && element.tag == (UDM_BER_CONTEXT(0) | UDM_BER_CONSTRUCTED)) {
        c->depth = 1;
        return udm_ber_enter(c->ber, &element);
    }
    return damaged(c, "is damaged: it has no content");
}

/* Reads up to the content, and makes of it a CMS without any in `copy`. */
static udm_error_t *read_head(udm_ber_copy_t *copy, udm_cms_t *c)
{
    static const unsigned char no_content[] = {UDM_BER_CONTEXT(0), 0};
    static const unsigned char no_tag[2 + TAG_SIZE] = {UDM_BER_OCTETS, TAG_SIZE};
    apr_size_t body, inner;
    udm_error_t *error = enter_next(c, UDM_BER_SEQUENCE);

    if (error == NULL) {
        error = copy_next(copy, c, UDM_BER_OID);
    }
    if (error != NULL) {
        return error;
    }
    c->authenticated = is_element(copy, 0, oid_auth_enveloped, sizeof(oid_auth_enveloped));
    if (!c->authenticated && !is_element(copy, 0, oid_enveloped, sizeof(oid_enveloped))) {
        return damaged(c, "is not encrypted: it is another kind of CMS");
    }
    body = copy->size;
    error = enter_next(c, UDM_BER_CONTEXT(0) | UDM_BER_CONSTRUCTED);
    if (error == NULL) {
        error = enter_next(c, UDM_BER_SEQUENCE);
    }
    if (error == NULL) {
        error = copy_recipients(copy, c);
    }
    if (error == NULL) {
        error = enter_next(c, UDM_BER_SEQUENCE);
    }
    inner = copy->size;
    if (error == NULL) {
        error = copy_next(copy, c, UDM_BER_OID);
    }
    if (error == NULL && !is_element(copy, inner, oid_data, sizeof(oid_data))) {
        error = damaged(c, "what it holds is not plain data");
    }
    if (error == NULL) {
        error = copy_next(copy, c, UDM_BER_SEQUENCE);
    }
    if (error == NULL) {
        error = open_content(c);
    }
    if (error != NULL) {
        return error;
    }
    /* `space` keeps room for all of this. */
    memcpy(copy->data + copy->size, no_content, sizeof(no_content));
    copy->size += sizeof(no_content);
    wrap(copy, inner, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    if (c->authenticated) {
        memcpy(copy->data + copy->size, no_tag, sizeof(no_tag));
        copy->size += sizeof(no_tag);
    }
    wrap(copy, body, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    wrap(copy, body, 0, V_ASN1_CONTEXT_SPECIFIC);
    wrap(copy, 0, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
    return NULL;
}

/* RSA: takes the content's key out of one recipient. */
static bool open_transport(CMS_ContentInfo *info, CMS_RecipientInfo *recipient, EVP_PKEY *key)
{
    bool opened;

    EVP_PKEY_up_ref(key);
    if (CMS_RecipientInfo_set0_pkey(recipient, key) != 1) {
        EVP_PKEY_free(key);
        return false;
    }
    opened = CMS_RecipientInfo_decrypt(info, recipient) > 0;
    CMS_RecipientInfo_set0_pkey(recipient, NULL);
    return opened;
}

/* EC: the same. */
static bool open_agreement(CMS_ContentInfo *info, CMS_RecipientInfo *recipient, EVP_PKEY *key)
{
    STACK_OF(CMS_RecipientEncryptedKey) *keys = CMS_RecipientInfo_kari_get0_reks(recipient);
    bool opened = false;

    for (int i = 0; !opened && i < sk_CMS_RecipientEncryptedKey_num(keys); i++) {
        if (CMS_RecipientInfo_kari_set0_pkey(recipient, key) == 1) {
            opened = CMS_RecipientInfo_kari_decrypt(
                         info, recipient, sk_CMS_RecipientEncryptedKey_value(keys, i)) > 0;
            CMS_RecipientInfo_kari_set0_pkey(recipient, NULL);
        }
    }
    return opened;
}

/* Every way in which the key does not fit has the same words: none tells more than another. */
static udm_error_t *open_recipient(udm_cms_t *c, EVP_PKEY *key)
{
    STACK_OF(CMS_RecipientInfo) *recipients = CMS_get0_RecipientInfos(c->info);
    int wanted = EVP_PKEY_is_a(key, "RSA") ? CMS_RECIPINFO_TRANS : CMS_RECIPINFO_AGREE;
    bool opened = false;

    for (int i = 0; !opened && i < sk_CMS_RecipientInfo_num(recipients); i++) {
        CMS_RecipientInfo *recipient = sk_CMS_RecipientInfo_value(recipients, i);

        if (CMS_RecipientInfo_type(recipient) == wanted) {
            opened = wanted == CMS_RECIPINFO_TRANS ? open_transport(c->info, recipient, key)
                                                   : open_agreement(c->info, recipient, key);
        }
    }
    ERR_clear_error();
    return opened ? NULL
                  : udm_error_make(c->pool, UDM_E_CERTIFICATE, "%s: this key does not open it",
                                   c->path);
}

/* OpenSSL's cipher, with the key in it. */
static udm_error_t *make_cipher(udm_cms_t *c)
{
    BIO *nothing = BIO_new(BIO_s_null());
    int kind;

    c->bio = nothing != NULL ? CMS_dataInit(c->info, nothing) : NULL;
    if (c->bio == NULL) {
        BIO_free(nothing);
        return damaged(c, "is encrypted in a way that is not known, or damaged");
    }
    BIO_get_cipher_ctx(c->bio, &c->ctx);
    kind = c->ctx != NULL ? EVP_CIPHER_CTX_get_nid(c->ctx) : NID_undef;
    switch (kind) {
    case NID_aes_128_cbc:
    case NID_aes_192_cbc:
    case NID_aes_256_cbc:
        return c->authenticated ? damaged(c, "AuthEnvelopedData must be AES-GCM") : NULL;
    case NID_aes_128_gcm:
    case NID_aes_192_gcm:
    case NID_aes_256_gcm:
        return !c->authenticated ? damaged(c, "EnvelopedData must be AES-CBC") : NULL;
    default:
        return damaged(c, "is encrypted with neither AES-CBC nor AES-GCM");
    }
}

udm_error_t *udm_cms_open(udm_cms_t **cms, apr_pool_t *p, udm_mime_t *mime, EVP_PKEY *key)
{
    udm_cms_t *c = apr_pcalloc(p, sizeof(*c));
    udm_ber_copy_t copy;
    const unsigned char *from;
    udm_error_t *error;

    c->pool = p;
    c->path = udm_mime_path(mime);
    c->ber = udm_ber_make(p, mime);
    apr_pool_cleanup_register(p, c, cms_free, apr_pool_cleanup_null);
    copy.data = apr_palloc(p, HEAD_SIZE);
    copy.size = 0;
    copy.space = HEAD_SIZE - 4 * HEADER_MOST - 2 - (2 + TAG_SIZE);
    error = read_head(&copy, c);
    if (error != NULL) {
        return error;
    }
    from = copy.data;
    c->info = d2i_CMS_ContentInfo(NULL, &from, (long)copy.size);
    if (c->info == NULL || from != copy.data + copy.size) {
        return damaged(c, "is damaged: its header cannot be read");
    }
    error = open_recipient(c, key);
    if (error == NULL) {
        error = make_cipher(c);
    }
    *cms = c;
    return error;
}

/* Goes to the next chunk of the content. */
static udm_error_t *next_chunk(bool *end, udm_cms_t *c)
{
    udm_ber_element_t element;
    udm_error_t *error = NULL;

    *end = c->depth == 0;
    while (error == NULL && c->left == 0 && !*end) {
        bool inner_end;

        error = udm_ber_next(&element, &inner_end, c->ber);
        if (error != NULL) {
            return error;
        }
        if (inner_end) {
            udm_ber_left(c->ber);
            *end = --c->depth == 0;
        }
        else if (element.tag == UDM_BER_OCTETS) {
            c->left = element.size;
        }
        else if (element.tag == (UDM_BER_OCTETS | UDM_BER_CONSTRUCTED)) {
            c->depth++;
            error = udm_ber_enter(c->ber, &element);
        }
        else {
            error = damaged(c, "is damaged: a chunk of its content is none");
        }
    }
    return error;
}

/* What stands behind the content of AuthEnvelopedData. */
static udm_error_t *read_tag(udm_cms_t *c)
{
    unsigned char tag[2 + TAG_SIZE];
    udm_ber_copy_t copy = {tag, 0, sizeof(tag)};
    udm_ber_element_t element;
    bool end;
    udm_error_t *error = udm_ber_next(&element, &end, c->ber);

    if (error != NULL) {
        return error;
    }
    if (!end && element.tag == (UDM_BER_CONTEXT(1) | UDM_BER_CONSTRUCTED)) {
        return damaged(c, "has authenticated attributes, which are not known");
    }
    if (end || element.tag != UDM_BER_OCTETS || element.size != TAG_SIZE) {
        return damaged(c, "is damaged: its authentication tag is none of 16 bytes");
    }
    error = udm_ber_copy(&copy, c->ber, &element);
    if (error != NULL) {
        return error;
    }
    if (copy.size != sizeof(tag) ||
        EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag + 2) <= 0) {
        return damaged(c, "is damaged: its authentication tag cannot be read");
    }
    return NULL;
}

/* The rest of the file, then the last block, or the tag. */
static udm_error_t *finish(unsigned char *data, apr_size_t *size, udm_cms_t *c)
{
    udm_ber_element_t element;
    bool end = false;
    int got = 0;
    udm_error_t *error = udm_ber_leave(c->ber);

    if (error == NULL && c->authenticated) {
        error = read_tag(c);
    }
    if (error == NULL) {
        error = udm_ber_next(&element, &end, c->ber);
    }
    /* Unprotected attributes say nothing to us. */
    if (error == NULL && !end) {
        if (element.tag != (UDM_BER_CONTEXT(c->authenticated ? 2 : 1) | UDM_BER_CONSTRUCTED)) {
            return damaged(c, "is damaged: something stands behind its content");
        }
        error = udm_ber_skip(c->ber, &element);
        if (error == NULL) {
            error = udm_ber_leave(c->ber);
        }
    }
    else {
        udm_ber_left(c->ber);
    }
    for (int i = 0; error == NULL && i < 2; i++) {
        error = udm_ber_leave(c->ber);
    }
    if (error == NULL) {
        error = udm_ber_finish(c->ber);
    }
    if (error != NULL) {
        return error;
    }
    if (EVP_DecryptFinal_ex(c->ctx, data, &got) <= 0) {
        return damaged(c, "is damaged or forged, or this key does not open it");
    }
    c->ended = true;
    *size = (apr_size_t)got;
    return NULL;
}

udm_error_t *udm_cms_read(unsigned char *data, apr_size_t *size, udm_cms_t *cms, apr_size_t space)
{
    udm_error_t *error = NULL;

    *size = 0;
    while (error == NULL && *size == 0 && !cms->ended) {
        bool end = false;

        if (cms->left == 0) {
            error = next_chunk(&end, cms);
        }
        if (error == NULL && end) {
            error = finish(data, size, cms);
        }
        else if (error == NULL) {
            const unsigned char *from;
            apr_size_t taken;
            apr_int64_t most = (apr_int64_t)(space - BLOCK_SIZE);
            int got;

            error = udm_ber_bytes(&from, &taken, cms->ber, cms->left < most ? cms->left : most);
            if (error == NULL && EVP_DecryptUpdate(cms->ctx, data, &got, from, (int)taken) <= 0) {
                error = damaged(cms, "cannot be decrypted");
            }
            if (error == NULL) {
                cms->left -= (apr_int64_t)taken;
                *size = (apr_size_t)got;
            }
        }
    }
    return error;
}
