/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * test_store.c: the local store: nothing is seen before it is whole, nothing is ever replaced.
 */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "store/store.h"

#define ID    "0b3c7c1e-1111-4222-8333-444455556666"
#define OTHER "0b3c7c1e-1111-4222-8333-444455556667"
#define NAME  "export-" ID ".zip.smime"

static const char *root;

static udm_store_t *open_store(void)
{
    udm_store_t *store;

    root = scratch_dir();
    unit_ok(udm_store_local_adopt(pool, root, "installation-1"));
    unit_ok(udm_store_local_open(&store, pool, root, "installation-1"));
    ck_assert_str_eq(store->kind, "local");
    ck_assert_str_eq(store->root, root);
    return store;
}

static udm_object_t *write_object(udm_store_t *store, const char *id, int part, const char *text)
{
    udm_object_t *object;

    unit_ok(store->create(&object, store, pool, id, part));
    unit_ok(store->write(object, text, strlen(text)));
    unit_ok(store->finish(object));
    return object;
}

static mode_t mode_of(const char *path)
{
    struct stat info;

    ck_assert_msg(stat(path, &info) == 0, "%s", path);
    return info.st_mode & 07777;
}

static const char *below(const char *path)
{
    return apr_pstrcat(pool, root, "/", path, NULL);
}

START_TEST(whole_or_not_at_all)
{
    udm_store_t *store = open_store();
    const char *path = udm_store_local_path(pool, root, NAME);
    udm_object_t *object;
    char *large = apr_palloc(pool, 700001);
    apr_size_t size;

    memset(large, 'x', 700000);
    large[700000] = '\0';
    ck_assert_str_eq(path, below("0b/" NAME));
    unit_ok(store->create(&object, store, pool, ID, 1));
    unit_ok(store->write(object, "abc", 3));
    unit_ok(store->write(object, large, 700000));
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(access(below("0b/export-" ID ".1.part"), F_OK), 0);
    unit_fails(store->publish(object, NAME), UDM_E_INTERNAL, "cannot be called");
    unit_ok(store->finish(object));
    ck_assert_int_eq(access(path, F_OK), -1);
    unit_ok(store->publish(object, NAME));
    ck_assert_int_eq(access(below("0b/export-" ID ".1.part"), F_OK), -1);
    ck_assert_str_eq(scratch_read(&size, path) + 3, large);
    ck_assert_uint_eq(size, 700003);
}
END_TEST

START_TEST(nothing_is_replaced)
{
    udm_store_t *store = open_store();
    udm_object_t *object;
    apr_size_t size;

    unit_ok(store->publish(write_object(store, ID, 1, "first"), NAME));
    object = write_object(store, ID, 2, "second");
    unit_fails(store->publish(object, NAME), UDM_E_STORE, "already");
    ck_assert_str_eq(scratch_read(&size, below("0b/" NAME)), "first");
    /* Nor a part that is under way. */
    unit_fails(store->create(&object, store, pool, ID, 2), UDM_E_STORE, "cannot be used");
    /* Nor does an object take a name of another directory. */
    object = write_object(store, ID, 3, "third");
    unit_fails(store->publish(object, "export-ff"
                                      "3c7c1e-1111-4222-8333-444455556666.zip.smime"),
               UDM_E_INTERNAL, "cannot be called");
}
END_TEST

START_TEST(removal)
{
    udm_store_t *store = open_store();

    unit_ok(store->publish(write_object(store, ID, 1, "a"), "export-" ID ".z01.smime"));
    unit_ok(store->publish(write_object(store, ID, 2, "b"), NAME));
    write_object(store, ID, 3, "c");
    unit_ok(store->publish(write_object(store, OTHER, 1, "d"), "export-" OTHER ".zip.smime"));
    unit_ok(store->remove(store, pool, "export-" ID ".z01.smime"));
    unit_ok(store->remove(store, pool, "export-" ID ".z01.smime"));
    ck_assert_int_eq(access(below("0b/" NAME), F_OK), 0);
    unit_ok(store->remove_export(store, pool, ID));
    ck_assert_int_eq(scratch_run("test \"$(ls %s/0b)\" = export-%s.zip.smime", root, OTHER), 0);
    unit_ok(store->remove_export(store, pool, ID));
    unit_ok(store->remove_export(store, pool, "ee3c7c1e-1111-4222-8333-444455556666"));
    unit_fails(store->remove(store, pool, "../x"), UDM_E_INTERNAL, "not the name");
    unit_fails(store->remove_export(store, pool, "../../../../etc"), UDM_E_INTERNAL, "UUID");
}
END_TEST

START_TEST(names)
{
    static const char *const good[] = {NAME, "export-" ID ".z01.smime",
                                       "export-" ID ".z99999.smime", "export-" ID ".zip.p7m"};
    static const char *const bad[] = {"", "export-" ID ".1.part",
                                      "export-../../../../../../../../../etc/passwd.zip.smime",
                                      "/export-" ID ".zip.smime"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_str_eq(udm_store_local_path(pool, "/s", good[i]),
                         apr_pstrcat(pool, "/s/0b/", good[i], NULL));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(udm_store_local_path(pool, "/s", bad[i]) == NULL, "%s", bad[i]);
    }
}
END_TEST

START_TEST(modes)
{
    udm_store_t *store = open_store();
    mode_t before = umask(0177);

    unit_ok(store->publish(write_object(store, ID, 1, "a"), NAME));
    umask(before);
    ck_assert_uint_eq(mode_of(below("0b")), 0750);
    ck_assert_uint_eq(mode_of(below("0b/" NAME)), 0640);
    /* With the set-group-id bit of the root, what is made below has it too. */
    ck_assert_int_eq(chmod(root, 02750), 0);
    unit_ok(udm_store_local_open(&store, pool, root, "installation-1"));
    before = umask(0);
    write_object(store, "cc3c7c1e-1111-4222-8333-444455556666", 1, "b");
    umask(before);
    ck_assert_uint_eq(mode_of(below("cc")), 02750);
}
END_TEST

START_TEST(belongs_to_one)
{
    udm_store_t *store = open_store();
    udm_error_t *error;

    unit_ok(udm_store_local_open(&store, pool, root, "installation-1"));
    unit_ok(udm_store_local_open(&store, pool, root, NULL));
    unit_ok(udm_store_local_adopt(pool, root, "installation-1"));
    error = udm_store_local_open(&store, pool, root, "installation-2");
    unit_fails(error, UDM_E_STORE, "belongs to another installation");
    ck_assert_ptr_nonnull(strstr(error->detail, "installation-1"));
    error = udm_store_local_adopt(pool, root, "installation-2");
    unit_fails(error, UDM_E_STORE, "belongs to another installation");
    unit_ok(udm_store_local_open(&store, pool, root, "installation-1"));
    ck_assert_int_eq(scratch_run("test $(ls -A %s | wc -l) = 1", root), 0);
    ck_assert_uint_eq(mode_of(below(".udm-store")), 0640);
    unit_fails(udm_store_local_open(&store, pool, below("missing"), "installation-1"), UDM_E_STORE,
               "there is no store");
    unit_fails(udm_store_local_open(&store, pool, below(".udm-store"), "installation-1"),
               UDM_E_STORE, "there is no store");
    unit_fails(udm_store_local_adopt(pool, below("missing"), "installation-1"), UDM_E_STORE,
               "there is no store");
}
END_TEST

/* Opening marks nothing: an empty directory may be the one below a volume that is not mounted. */
START_TEST(unmarked_is_no_store)
{
    udm_store_t *store = NULL;
    udm_error_t *error;

    root = scratch_dir();
    error = udm_store_local_open(&store, pool, root, "installation-1");
    unit_fails(error, UDM_E_STORE, "not mounted?");
    ck_assert_ptr_nonnull(strstr(error->reason, "udm.new_store()"));
    ck_assert_ptr_nonnull(strstr(error->detail, below(".udm-store")));
    ck_assert_int_eq(error->status, UDM_STORE_UNMARKED);
    ck_assert_ptr_null(store);
    ck_assert_int_eq(scratch_run("test $(ls -A %s | wc -l) = 0", root), 0);
    /* A mark that says nothing is nobody's leave to write another. */
    ck_assert_int_eq(scratch_run(": >%s/.udm-store", root), 0);
    unit_fails(udm_store_local_adopt(pool, root, "installation-1"), UDM_E_STORE,
               "another installation");
    ck_assert_int_eq(unlink(below(".udm-store")), 0);
    unit_ok(udm_store_local_adopt(pool, root, "installation-1"));
    unit_ok(udm_store_local_open(&store, pool, root, "installation-1"));
}
END_TEST

/* What lies at the path of an open store later is not written to, nor taken for it. */
START_TEST(another_directory_in_its_place)
{
    udm_store_t *store = open_store();
    udm_object_t *finished = write_object(store, ID, 1, "a");
    udm_object_t *object;
    const char *away = apr_pstrcat(pool, scratch_dir(), "/away", NULL);

    unit_ok(store->publish(write_object(store, OTHER, 1, "b"), "export-" OTHER ".zip.smime"));
    ck_assert_int_eq(rename(root, away), 0);
    ck_assert_int_eq(mkdir(root, 0750), 0);
    unit_fails(store->create(&object, store, pool, ID, 2), UDM_E_STORE, "unmounted or replaced");
    unit_fails(store->publish(finished, NAME), UDM_E_STORE, "unmounted or replaced");
    unit_ok(store->remove_export(store, pool, ID));
    unit_ok(store->remove(store, pool, "export-" OTHER ".zip.smime"));
    ck_assert_int_eq(scratch_run("test $(ls -A %s | wc -l) = 0", root), 0);
    ck_assert_int_eq(scratch_run("test $(ls -A %s/0b | wc -l) = 0", away), 0);
    ck_assert_int_eq(rmdir(root), 0);
    unit_fails(store->create(&object, store, pool, ID, 2), UDM_E_STORE, "unmounted or replaced");
    ck_assert_int_eq(rename(away, root), 0);
    unit_ok(store->create(&object, store, pool, ID, 2));
}
END_TEST

/* All that a look through the store finds, in batches; more calls than it should take fail. */
static apr_array_header_t *listed(udm_store_t *store, int limit)
{
    apr_array_header_t *all = apr_array_make(pool, 8, sizeof(udm_stored_t));
    apr_array_header_t *found;
    udm_store_listing_t *listing;
    bool more = true;

    unit_ok(store->list(&listing, store, pool));
    for (int calls = 0; more; calls++) {
        ck_assert_int_lt(calls, 1000);
        unit_ok(store->next(&found, &more, listing, pool, limit));
        ck_assert_int_le(found->nelts, limit);
        apr_array_cat(all, found);
    }
    return all;
}

static bool is_listed(const apr_array_header_t *all, const char *name)
{
    int times = 0;

    for (int i = 0; i < all->nelts; i++) {
        times += strcmp(APR_ARRAY_IDX(all, i, udm_stored_t).name, name) == 0;
    }
    ck_assert_int_le(times, 1);
    return times == 1;
}

START_TEST(look_through_it)
{
    udm_store_t *store = open_store();
    apr_array_header_t *all;
    apr_time_t changed;

    ck_assert_int_eq(listed(store, 7)->nelts, 0);
    unit_ok(store->publish(write_object(store, ID, 1, "a"), NAME));
    write_object(store, ID, 2, "b");
    write_object(store, "ff3c7c1e-1111-4222-8333-444455556666", 1, "c");
    /* Nothing else is an object: other names, other places, other things. */
    ck_assert_int_eq(
        scratch_run("cd %s && mkdir 11 .snapshot .snapshot/0b 0c && : >%s && : >11/%s && : >0b/x &&"
                    " : >0b/export-" OTHER ".1.part.x && mkdir 0b/export-" OTHER ".zip.smime &&"
                    " ln -s %s 0b/export-" OTHER ".2.part && : >.snapshot/0b/%s && : >0a &&"
                    " ln -s 0b 0d",
                    root, NAME, NAME, NAME, NAME),
        0);
    for (int limit = 1; limit < 500; limit += 166) {
        all = listed(store, limit);
        ck_assert_int_eq(all->nelts, 3);
        ck_assert(is_listed(all, NAME));
        ck_assert(is_listed(all, "export-" ID ".2.part"));
        ck_assert(is_listed(all, "export-ff3c7c1e-1111-4222-8333-444455556666.1.part"));
    }
    /* A copy with the time of its original is as new as its place here. */
    ck_assert_int_eq(scratch_run("touch -d '2020-01-01' %s/0b/export-*", root), 0);
    changed = APR_ARRAY_IDX(listed(store, 500), 0, udm_stored_t).changed;
    ck_assert(changed > apr_time_now() - apr_time_from_sec(3600));
    unit_ok(store->remove(store, pool, "export-" ID ".2.part"));
    unit_ok(store->remove(store, pool, "export-" ID ".2.part"));
    all = listed(store, 500);
    ck_assert_int_eq(all->nelts, 2);
    ck_assert(!is_listed(all, "export-" ID ".2.part"));
    unit_fails(store->remove(store, pool, "export-" ID ".part"), UDM_E_INTERNAL, "not the name");
    unit_fails(store->remove(store, pool, "export-" ID ".1.part.x"), UDM_E_INTERNAL,
               "not the name");
}
END_TEST

START_TEST(without_rights)
{
    udm_store_t *store = open_store();
    udm_object_t *object;
    udm_error_t *error;

    if (geteuid() == 0) {
        ck_assert_int_eq(chown(root, 65534, 65534), 0);
        ck_assert_int_eq(seteuid(65534), 0);
    }
    ck_assert_int_eq(chmod(root, 0500), 0);
    error = store->create(&object, store, pool, ID, 1);
    unit_fails(error, UDM_E_STORE, "read-only");
    ck_assert_int_eq(error->status, EACCES);
    ck_assert_ptr_null(strstr(error->reason, root));
    if (getuid() == 0) {
        /* LeakSanitizer cannot look at a process that changed its user. */
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
    }
}
END_TEST

TCase *store_case(void)
{
    TCase *tc = unit_case("store");

    tcase_add_test(tc, whole_or_not_at_all);
    tcase_add_test(tc, nothing_is_replaced);
    tcase_add_test(tc, removal);
    tcase_add_test(tc, names);
    tcase_add_test(tc, modes);
    tcase_add_test(tc, belongs_to_one);
    tcase_add_test(tc, unmarked_is_no_store);
    tcase_add_test(tc, another_directory_in_its_place);
    tcase_add_test(tc, look_through_it);
    tcase_add_test(tc, without_rights);
    return tc;
}
