/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets.h: keeps credentials out of what httpd and its modules write of a request: the access log,
 * the error log, mod_status, mod_log_forensic. What is hidden, and how it is found: core/redact.h.
 *
 * Of a request below a mount, or with an API key or a link to a file in its URL, whatever may be a
 * credential is hidden from the beginning. Another application's request stays as it was sent until
 * it is logged, but for keys and links in Referer and User-Agent.
 */
#ifndef UDM_HTTPD_SECRETS_H
#define UDM_HTTPD_SECRETS_H

#include <stdbool.h>

#include <httpd.h>

/*
 * The hooks. post_read_request, three times: before mod_log_forensic writes the headers down the
 * credentials in them are put away, behind it they are put back; and last, once a forward proxy has
 * seen it, the URL as it was sent is put away, which httpd writes down where it refuses it.
 */
int udm_secrets_hold(request_rec *r);
int udm_secrets_release(request_rec *r);
int udm_secrets_read(request_rec *r);
/* translate_name: from here on no module that logs a path finds a key in it. */
int udm_secrets_translate(request_rec *r);
/*
 * check_authn, before every AuthType: refuses credentials of ours for another one, which could not use
 * them and would write down whom it does not know.
 */
int udm_secrets_authn(request_rec *r);
/* insert_error_filter: a request that was refused while it was read has gone through no other hook. */
void udm_secrets_refused(request_rec *r);
/* log_transaction: before any log. */
int udm_secrets_log(request_rec *r);

/*
 * `path` is below a mount; with `named`, what looks like a piece of a credential may be a name.
 * @return true where it holds a credential, as no path that anybody answers does: modules that look for
 * a file or a script write down what they do not find
 */
bool udm_secrets_in_path(request_rec *r, const char *path, bool named);

/* Somebody else is about to answer what is below a mount: what he writes of his failures shows none. */
void udm_secrets_handed_over(request_rec *r);

/* The request was found to go to a mount, whatever its path said when it was read. */
void udm_secrets_ours(request_rec *r);

#endif
