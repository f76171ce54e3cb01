/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: udm-worker: arguments, settings, privileges; then the keeper takes over.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "core/text.h"
#include "worker/check.h"
#include "worker/keeper.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define EXIT_USAGE 2

static const char usage[] =
    "usage: udm-worker -c FILE [--pid-file FILE]\n"
    "       udm-worker --supervised [--pid-file FILE]\n"
    "       udm-worker -c FILE --check-source NAME\n"
    "\n"
    "  -c, --config FILE  read the settings from FILE: lines \"name value\"\n"
    "  --supervised       read them from stdin up to a line \"end\"; then a line \"stop\" hands\n"
    "                     running exports back to the queue, and the end of stdin lets them "
    "finish\n"
    "  --pid-file FILE    write the process id to FILE; a second worker with the same FILE "
    "refuses\n"
    "                     to start\n"
    "  --check-source NAME\n"
    "                     say what leaves with each type of the source, and whether it can be "
    "read;\n"
    "                     nothing is changed. Exit status 1: a type cannot be\n"
    "  --version, --help\n"
    "\n"
    "SIGTERM and SIGINT hand running exports back. The log goes to stderr. Exit status 78: the "
    "schema\n"
    "of the database is not of this program's version, and starting it again does not help.\n";

typedef struct arguments_t {
    const char *config;
    const char *pid_file;
    const char *check; /* the source to check; NULL: do the work */
    bool supervised;
} arguments_t;

/* The exit status of what was asked for, or -1 to go on. */
static int read_arguments(arguments_t *arguments, int argc, const char *const *argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        const char *a = argv[i];

        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (strcmp(a, "--version") == 0) {
            puts("udm-worker " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        }
        if (strcmp(a, "--supervised") == 0) {
            arguments->supervised = true;
        }
        else if ((strcmp(a, "-c") == 0 || strcmp(a, "--config") == 0) && i + 1 < argc) {
            arguments->config = argv[++i];
        }
        else if (strcmp(a, "--pid-file") == 0 && i + 1 < argc) {
            arguments->pid_file = argv[++i];
        }
        else if (strcmp(a, "--check-source") == 0 && i + 1 < argc) {
            arguments->check = argv[++i];
        }
        else {
            fprintf(stderr, "udm-worker: \"%s\" is not understood, or its value is missing\n\n%s",
                    a, usage);
            return EXIT_USAGE;
        }
    }
    if (arguments->supervised == (arguments->config != NULL)) {
        fprintf(stderr, "udm-worker: give either --config or --supervised\n\n%s", usage);
        return EXIT_USAGE;
    }
    if (arguments->check && (arguments->supervised || arguments->pid_file)) {
        fprintf(stderr, "udm-worker: --check-source needs --config, and nothing else\n\n%s", usage);
        return EXIT_USAGE;
    }
    return -1;
}

/*
 * Writes the process id and keeps the file locked as long as the process lives. Written before
 * privileges go, because it often lies where only root may write.
 */
static udm_error_t *write_pid(apr_pool_t *p, const char *path)
{
    char text[32];
    int size = apr_snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0) {
        return udm_error_make(p, UDM_E_INVALID, "--pid-file %s: cannot be written: %s", path,
                              strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return udm_error_make(p, UDM_E_INVALID, "--pid-file %s: another udm-worker holds it", path);
    }
    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)size) != size) {
        close(fd);
        return udm_error_make(p, UDM_E_INVALID, "--pid-file %s: cannot be written: %s", path,
                              strerror(errno));
    }
    /* Stays open: its lock is what a second worker meets. */
    return NULL;
}

/* "#" and a number, as httpd's User and Group take it. @return false for what is none, and for -1 */
static bool find_number(unsigned int *id, const char *name)
{
    apr_int64_t number;

    if (strcmp(name, "#0") == 0) {
        *id = 0;
        return true;
    }
    if (!udm_text_parse_id(&number, name + 1) || number >= APR_UINT32_MAX) {
        return false;
    }
    *id = (unsigned int)number;
    return true;
}

/* A name, or "#" and a number. */
static bool find_user(uid_t *uid, gid_t *gid, const char *name)
{
    const struct passwd *entry;

    if (*name == '#') {
        if (!find_number(uid, name)) {
            return false;
        }
        entry = getpwuid(*uid);
        *gid = entry ? entry->pw_gid : (gid_t)*uid;
        return true;
    }
    entry = getpwnam(name);
    if (entry) {
        *uid = entry->pw_uid;
        *gid = entry->pw_gid;
    }
    return entry != NULL;
}

static bool find_group(gid_t *gid, const char *name)
{
    const struct group *entry;

    if (*name == '#') {
        return find_number(gid, name);
    }
    entry = getgrnam(name);
    if (entry) {
        *gid = entry->gr_gid;
    }
    return entry != NULL;
}

/* An export reads what its tenant registered: nothing of that is root's business. */
static udm_error_t *drop_privileges(apr_pool_t *p, const udm_settings_t *settings)
{
    const char *name = settings->user;
    uid_t uid;
    gid_t gid;

    if (geteuid() != 0) {
        if (name && (!find_user(&uid, &gid, name) || uid != geteuid())) {
            udm_log(settings->log_level, UDM_LOG_INFO,
                    "UDM0201: user %s is not used: only root can change to it", name);
        }
        return NULL;
    }
    if (!name) {
        return udm_error_make(p, UDM_E_INVALID,
                              "udm-worker does not run as root: set user (and group) in its "
                              "settings, or start it as another user");
    }
    if (!find_user(&uid, &gid, name)) {
        return udm_error_make(p, UDM_E_INVALID, "there is no user \"%s\"", name);
    }
    if (settings->group && !find_group(&gid, settings->group)) {
        return udm_error_make(p, UDM_E_INVALID, "there is no group \"%s\"", settings->group);
    }
    if (uid == 0) {
        return udm_error_make(p, UDM_E_INVALID, "user \"%s\" is root: set another", name);
    }
    if ((*name == '#' ? setgroups(1, &gid) : initgroups(name, gid)) != 0 || setgid(gid) != 0 ||
        setuid(uid) != 0) {
        return udm_error_make(p, UDM_E_INVALID, "cannot become user \"%s\": %s", name,
                              strerror(errno));
    }
    return NULL;
}

/* SIGTERM and SIGINT are read by the keeper; a broken connection or pipe is an error, not an end. */
static void set_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

/*
 * What a large row took goes back to the system with its end. By itself glibc takes larger and larger
 * blocks from its heaps once it met some, and a heap keeps them.
 */
static void set_memory(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 2 << 20);
#endif
}

int main(int argc, const char *const *argv)
{
    arguments_t arguments = {0};
    udm_settings_t *settings = NULL;
    udm_error_t *error;
    apr_pool_t *p;
    int status;

    status = read_arguments(&arguments, argc, argv);
    if (status >= 0) {
        return status;
    }
    set_signals();
    set_memory();
    umask(0027);
    apr_initialize();
    apr_pool_create(&p, NULL);
    error = arguments.supervised ? udm_settings_receive(&settings, p, STDIN_FILENO)
                                 : udm_settings_load(&settings, p, arguments.config);
    if (!error && arguments.pid_file) {
        error = write_pid(p, arguments.pid_file);
    }
    if (!error) {
        error = drop_privileges(p, settings);
    }
    if (error) {
        udm_log(UDM_LOG_ERROR, UDM_LOG_ERROR, "UDM0200: %s", error->reason);
        status = EXIT_FAILURE;
    }
    else if (arguments.check) {
        status = udm_check_run(p, settings, arguments.check);
    }
    else {
        status = udm_keeper_run(p, settings, arguments.supervised);
        if (arguments.pid_file) {
            unlink(arguments.pid_file);
        }
    }
    apr_pool_destroy(p);
    apr_terminate();
    return status;
}
