/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * dispatch.h: has each request answered by the handler of its operation, once it is known who asks.
 */
#ifndef UDM_HTTPD_DISPATCH_H
#define UDM_HTTPD_DISPATCH_H

#include <httpd.h>

/* The content handler of the module. @return DECLINED for what is none of ours */
int udm_dispatch(request_rec *r);

/*
 * type_checker, before modules that answer without any handler: mod_dir, mod_speling, mod_negotiation
 * and the redirects of a section tell nobody who is not let in what there is. A sub-request is left to
 * the handler that answers it.
 */
int udm_dispatch_guard(request_rec *r);

#endif
