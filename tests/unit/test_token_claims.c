/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_token_claims.c: what the claims of a token must say, and what is taken from them.
 */
#include <apr_strings.h>

#include "unit.h"
#include "tokentest.h"
#include "core/token.h"

/* The roles that these claims give, joined with "|", or why there are none. */
static const char *roles_of(const char *path, const char *members)
{
    const udm_token_policy_t other = {NULL, NULL, "org.centre", path, 60};
    udm_token_claims_t *claims;
    udm_error_t *error = udm_token_verify(
        &claims, pool, tokentest_all_keys(), &other,
        tokentest_with_claims(apr_pstrcat(pool, "{\"exp\":1795500300,", members, "}", NULL)), NOW);

    return error ? error->reason : apr_array_pstrcat(pool, claims->roles, '|');
}

START_TEST(test_paths)
{
#define CENTRE "\"org\":{\"centre\":\"cc\"},"
    /* as Keycloak, Auth0, Entra and Cognito send them */
    ck_assert_str_eq(
        roles_of("realm_access.roles", CENTRE "\"realm_access\":{\"roles\":[\"a b\",\"c\"]}"),
        "a b|c");
    ck_assert_str_eq(roles_of("resource_access.udm.example.com.roles", CENTRE
                              "\"resource_access\":{\"udm.example.com\":{\"roles\":[\"a\"]}}"),
                     "a");
    ck_assert_str_eq(
        roles_of("https://example.com/roles", CENTRE "\"https://example.com/roles\":[\"a\"]"), "a");
    ck_assert_str_eq(roles_of("cognito:groups", CENTRE "\"cognito:groups\":[\"a\"]"), "a");
    ck_assert_str_eq(roles_of("scp", CENTRE "\"scp\":\"a b\""), "a|b");
    ck_assert_str_eq(roles_of("scp", CENTRE "\"scp\":[\"a\",\"b c\"]"), "a|b c");
    ck_assert_str_eq(roles_of("x.scope", CENTRE "\"x\":{\"scope\":\" a  * b \"}"), "a|b");
    ck_assert_str_eq(roles_of("x.scopes", CENTRE "\"x\":{\"scopes\":\"a b\"}"), "a b");
    ck_assert_str_eq(roles_of("a.b.c", CENTRE "\"a\":{\"b\":{\"c\":{\"name\":\"x\"}}}"), "");
    ck_assert_str_eq(roles_of("a.b.c", CENTRE "\"a\":{\"b\":{\"c\":[{\"name\":\"x\"}]}}"), "x");
    /* the longest name counts, whatever is in it */
    ck_assert_str_eq(roles_of("a.b", CENTRE "\"a\":{\"b\":[\"inner\"]},\"a.b\":[\"outer\"]"),
                     "outer");
    ck_assert_str_eq(roles_of("a.b", CENTRE "\"a\":{\"b\":[\"inner\"]},\"a.b\":null"), "");
    ck_assert_str_eq(roles_of("a.b.c", CENTRE "\"a\":{\"b.c\":[\"x\"]},\"a.b\":{\"c\":[\"y\"]}"),
                     "y");
    ck_assert_str_eq(roles_of("a.b.c", CENTRE "\"a\":{\"b.c\":[\"x\"]},\"a.b\":{\"d\":[\"y\"]}"),
                     "x");
    /* nothing there, or no object on the way */
    ck_assert_str_eq(roles_of("a.b", CENTRE "\"a\":[{\"b\":[\"x\"]}]"), "");
    ck_assert_str_eq(roles_of("a.b", CENTRE "\"a\":\"b\""), "");
    ck_assert_str_eq(roles_of("a.b", CENTRE "\"a\":{\"c\":[\"x\"]}"), "");
    ck_assert_str_eq(roles_of("a..b", CENTRE "\"a\":{\"b\":[\"x\"]}"), "");
    ck_assert_str_eq(roles_of(".", CENTRE "\"a\":1"), "");
    ck_assert_str_eq(roles_of("", CENTRE "\"a\":1"), "");
    ck_assert_str_eq(roles_of(".a.", CENTRE "\"\":{\"a\":{\"\":[\"x\"]}}"), "x");
    /* the centre is found in the same way */
    ck_assert_str_eq(roles_of("r", "\"org.centre\":\"cc\",\"r\":[\"a\"]"), "a");
    ck_assert_str_eq(roles_of("r", "\"org\":{\"centre\":[\"cc\"]},\"r\":[\"a\"]"),
                     "the token does not name a contact centre");
    ck_assert_str_eq(roles_of("r", "\"centre\":\"cc\",\"r\":[\"a\"]"),
                     "the token does not name a contact centre");
#undef CENTRE
}
END_TEST

START_TEST(test_times)
{
#define TIMES(times)                                                                               \
    tokentest_with_claims("{" times                                                                \
                          ",\"iss\":\"https://issuer\",\"aud\":\"udm\",\"contact_center_id\":"     \
                          "\"cc\"}")
    udm_jwks_t *jwks = tokentest_all_keys();

    tokentest_takes(jwks, TIMES("\"exp\":1795499941")); /* the skew is 60 seconds */
    tokentest_refuses(jwks, TIMES("\"exp\":1795499940"), "has expired");
    tokentest_refuses(jwks, TIMES("\"exp\":0"), "has expired");
    tokentest_takes(jwks, TIMES("\"exp\":1795499940.5"));
    tokentest_refuses(jwks, TIMES("\"x\":1"), "no usable expiry");
    tokentest_refuses(jwks, TIMES("\"exp\":null"), "no usable expiry");
    tokentest_refuses(jwks, TIMES("\"exp\":\"1795500300\""), "no usable expiry");
    tokentest_refuses(jwks, TIMES("\"exp\":-1"), "no usable expiry");
    tokentest_refuses(jwks, TIMES("\"exp\":1e300"), "no usable expiry");
    tokentest_refuses(jwks, TIMES("\"exp\":9223372036854775807"), "no usable expiry");
    tokentest_takes(jwks, TIMES("\"exp\":1795500300,\"nbf\":1795500060"));
    tokentest_refuses(jwks, TIMES("\"exp\":1795500300,\"nbf\":1795500061"), "not valid yet");
    tokentest_refuses(jwks, TIMES("\"exp\":1795500300,\"nbf\":\"now\""), "nbf is no date");
#undef TIMES
}
END_TEST

START_TEST(test_issuer_and_audience)
{
#define PARTIES(parties)                                                                           \
    tokentest_with_claims("{" parties "\"exp\":1795500300,\"contact_center_id\":\"cc\"}")
#define ISS "\"iss\":\"https://issuer\","
    static const udm_token_policy_t open = {NULL, NULL, "contact_center_id", "authorities", 60};
    udm_jwks_t *jwks = tokentest_all_keys();
    udm_token_claims_t *claims;

    tokentest_takes(jwks, PARTIES(ISS "\"aud\":\"udm\","));
    tokentest_takes(jwks, PARTIES(ISS "\"aud\":[\"other\",\"udm\"],"));
    tokentest_refuses(jwks, PARTIES(ISS "\"aud\":[\"other\",\"udm2\",7],"), "another audience");
    tokentest_refuses(jwks, PARTIES(ISS "\"aud\":[],"), "another audience");
    tokentest_refuses(jwks, PARTIES(ISS "\"aud\":\"other\","), "another audience");
    tokentest_refuses(jwks, PARTIES(ISS "\"aud\":{\"udm\":\"udm\"},"), "another audience");
    tokentest_refuses(jwks, PARTIES(ISS), "another audience");
    tokentest_refuses(jwks, PARTIES("\"iss\":\"https://issuer/\",\"aud\":\"udm\","),
                      "another issuer");
    tokentest_refuses(jwks, PARTIES("\"iss\":[\"https://issuer\"],\"aud\":\"udm\","),
                      "another issuer");
    tokentest_refuses(jwks, PARTIES("\"aud\":\"udm\","), "another issuer");
    /* not configured, not checked */
    unit_ok(udm_token_verify(&claims, pool, jwks, &open, PARTIES("\"iss\":\"x\","), NOW));
#undef PARTIES
}
END_TEST

START_TEST(test_tenant_and_roles)
{
#define ABOUT(members)                                                                             \
    tokentest_with_claims("{\"exp\":1795500300,\"iss\":\"https://issuer\",\"aud\":\"udm\"" members \
                          "}")
    udm_jwks_t *jwks = tokentest_all_keys();
    udm_token_claims_t *claims;

    tokentest_refuses_kind(jwks, ABOUT(""), UDM_E_FORBIDDEN, "does not name a contact centre");
    tokentest_refuses_kind(jwks, ABOUT(",\"contact_center_id\":\"\""), UDM_E_FORBIDDEN,
                           "does not name");
    tokentest_refuses_kind(jwks, ABOUT(",\"contact_center_id\":12"), UDM_E_FORBIDDEN,
                           "does not name");
    claims = tokentest_takes(jwks, ABOUT(",\"contact_center_id\":\"cc\""));
    ck_assert_int_eq(claims->roles->nelts, 0);
    ck_assert_str_eq(claims->subject, "");
    claims = tokentest_takes(
        jwks, ABOUT(",\"contact_center_id\":\"cc\",\"authorities\":[\"a\",\"*\",{\"name\":"
                    "\"b\"},{\"name\":\"*\"},{\"id\":1},7,null,\"\",[\"c\"]]"));
    ck_assert_int_eq(claims->roles->nelts, 2);
    ck_assert_str_eq(APR_ARRAY_IDX(claims->roles, 0, const char *), "a");
    ck_assert_str_eq(APR_ARRAY_IDX(claims->roles, 1, const char *), "b");
    claims =
        tokentest_takes(jwks, ABOUT(",\"contact_center_id\":\"cc\",\"authorities\":\"one role\""));
    ck_assert_int_eq(claims->roles->nelts, 1);
    ck_assert_str_eq(APR_ARRAY_IDX(claims->roles, 0, const char *), "one role");
    claims = tokentest_takes(jwks, ABOUT(",\"contact_center_id\":\"cc\",\"authorities\":\"*\""));
    ck_assert_int_eq(claims->roles->nelts, 0);
    /* signed, but not claims */
    tokentest_refuses(jwks, tokentest_with_claims("[1]"), "claims are not a JSON object");
    tokentest_refuses(jwks, tokentest_with_claims("no json"), "claims are not a JSON object");
    tokentest_refuses(jwks, tokentest_with_claims("{\"exp\":1795500300,\"exp\":1}"),
                      "claims are not a JSON object");
#undef ABOUT
}
END_TEST

TCase *token_claims_case(void)
{
    TCase *tc = tokentest_case("token_claims");

    tcase_add_test(tc, test_times);
    tcase_add_test(tc, test_issuer_and_audience);
    tcase_add_test(tc, test_tenant_and_roles);
    tcase_add_test(tc, test_paths);
    return tc;
}
