/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: udm-decrypt: the order of the work, signals, and the exit status.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "archive.h"
#include "core/text.h"
#include "key.h"
#include "options.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* The exit status; what ends it is EXIT_SUCCESS, or a signal. */
#define EXIT_BAD   1
#define EXIT_USAGE 2
#define EXIT_IO    3

/* The signal that asked for the end, or 0; the one thing that a signal handler can reach. */
static volatile sig_atomic_t stopped;

static void stop(int number)
{
    stopped = number;
}

/* A signal ends the work, whose traces are then removed. A full disk or a reader that has gone is
 * an error like any other. */
static void set_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = stop};
    struct sigaction before;
    static const struct rlimit no_core = {0, 0};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        /* nohup's wish counts. */
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            sigaction(ends[i], &action, NULL);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    /* Keys and content would be in it. */
    setrlimit(RLIMIT_CORE, &no_core);
}

/* Of several parts, the last one knows how many there are. */
static udm_error_t *check_total(const udm_inputs_t *inputs, apr_pool_t *p, EVP_PKEY *key)
{
    const char *last = inputs->list[inputs->count - 1].path;
    unsigned char tail[UDM_ARCHIVE_TAIL];
    apr_size_t size;
    uint32_t parts;
    udm_error_t *error;

    if (inputs->count == 1) {
        return NULL;
    }
    error = udm_joined_tail(tail, &size, p, last, key, &stopped, sizeof(tail));
    if (error != NULL) {
        return error;
    }
    if (!udm_archive_parts(&parts, tail, size)) {
        return udm_error_make(p, UDM_E_UNPROCESSABLE,
                              "%s: is not the last part of an export, or is damaged", last);
    }
    return udm_inputs_check_total(inputs, p, parts);
}

/* Puts the files in order, and finds out where their content goes. */
static udm_error_t *prepare(udm_options_t *o, apr_pool_t *p)
{
    udm_error_t *error = udm_inputs_order(&o->inputs, p);

    if (error == NULL && o->kind == UDM_OUTPUT_DIRECTORY && o->target == NULL) {
        if (o->inputs.export_id[0] == '\0') {
            return udm_error_make(p, UDM_E_INVALID,
                                  "the files have no name of an export: say where to with -o DIR");
        }
        o->target = apr_pstrcat(p, "export-", o->inputs.export_id, NULL);
    }
    return error;
}

static udm_error_t *work(udm_archive_sum_t *sum, const udm_options_t *o, apr_pool_t *p)
{
    udm_output_t *output = NULL;
    udm_joined_t *joined;
    EVP_PKEY *key;
    udm_error_t *error = udm_key_read(&key, p, o->key, o->passphrase_file);

    if (error == NULL) {
        error = udm_output_open(&output, p, o->kind, o->target);
    }
    if (error == NULL) {
        error = udm_inputs_check_sums(&o->inputs, p, &stopped);
    }
    if (error == NULL) {
        error = check_total(&o->inputs, p, key);
    }
    if (error == NULL) {
        error = udm_joined_open(&joined, p, &o->inputs, key, &stopped);
    }
    if (error == NULL) {
        error =
            udm_archive_read(sum, p, joined, output, o->inputs.export_id, o->list ? stdout : NULL);
    }
    if (error == NULL && stopped != 0) {
        error = udm_error_make(p, UDM_E_STOPPED, "interrupted");
    }
    return error != NULL ? error : udm_output_finish(output);
}

static int exit_status(const udm_error_t *error)
{
    switch (error->kind) {
    case UDM_E_INVALID:
        return EXIT_USAGE;
    case UDM_E_UNPROCESSABLE:
    case UDM_E_CERTIFICATE:
        return EXIT_BAD;
    default:
        return EXIT_IO;
    }
}

/* What is said in the end. @return the exit status */
static int report(apr_pool_t *p, const udm_options_t *o, const udm_archive_sum_t *sum,
                  const udm_error_t *error)
{
    if (error == NULL && !o->list) {
        printf("verified: %s, %s%s%s\n", udm_text_count(p, sum->entries, "file"),
               udm_text_count(p, sum->size, "byte"), o->target != NULL ? ", in " : "",
               o->target != NULL ? o->target : "");
    }
    if (error == NULL && (fflush(stdout) != 0 || ferror(stdout))) {
        fputs("udm-decrypt: the output cannot be written\n", stderr);
        return EXIT_IO;
    }
    if (error == NULL && !o->has_sums) {
        fputs("udm-decrypt: where it is from is not proven: give --sha256, as the API says it\n",
              stderr);
    }
    if (error != NULL) {
        fflush(stdout);
        fprintf(stderr, "udm-decrypt: %s\n", error->reason);
    }
    return error != NULL ? exit_status(error) : EXIT_SUCCESS;
}

int main(int argc, const char *const *argv)
{
    udm_options_t options;
    udm_archive_sum_t sum = {0};
    udm_error_t *error;
    apr_pool_t *p, *work_pool;
    int status = EXIT_SUCCESS;

    set_signals();
    apr_initialize();
    apr_pool_create(&p, NULL);
    error = udm_options_read(&options, p, argc, argv);
    if (error == NULL && options.asked == UDM_ASKED_WORK) {
        error = prepare(&options, p);
    }
    if (error != NULL) {
        status = report(p, &options, &sum, error);
        if (status == EXIT_USAGE) {
            fputs("try: udm-decrypt --help\n", stderr);
        }
    }
    else if (options.asked == UDM_ASKED_HELP) {
        fputs(udm_options_usage, stdout);
    }
    else if (options.asked == UDM_ASKED_VERSION) {
        puts("udm-decrypt " PACKAGE_VERSION);
    }
    else {
        apr_pool_create(&work_pool, p);
        error = work(&sum, &options, work_pool);
        error = error != NULL ? udm_error_copy(p, error) : NULL;
        /* What is not finished goes here. */
        apr_pool_destroy(work_pool);
        status = report(p, &options, &sum, error);
    }
    apr_pool_destroy(p);
    apr_terminate();
    if (error != NULL && stopped != 0) {
        signal(stopped, SIG_DFL);
        raise(stopped);
    }
    return status;
}
