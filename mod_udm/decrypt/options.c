/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c: reads it, and the file of sums.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <apr_strings.h>
#include <apr_tables.h>

#include "core/text.h"
#include "decrypt/options.h"

/* A line of a file of sums: the sum, two characters, a path. */
#define LINE_MOST 8192

const char udm_options_usage[] =
    "usage: udm-decrypt -k KEY [-o DIR | --zip FILE | --list | --test] [OPTION]... FILE...\n"
    "\n"
    "Decrypts an export and verifies all of it. FILE... are all of its files, in any order:\n"
    "export-<uuid>.zip.smime (or .p7m), or the parts .z01.smime, .z02.smime, ... and .zip.smime.\n"
    "Memory stays the same at any size.\n"
    "\n"
    "  -k, --key KEY           the private key in PEM (RSA, or EC for .p7m); a passphrase is "
    "asked\n"
    "                          for on the terminal\n"
    "      --passphrase-file F takes it from the first line of F instead\n"
    "  -o, --output DIR        where the files of the export go; must not exist\n"
    "                          (default: export-<uuid>)\n"
    "      --zip FILE          writes one ordinary ZIP archive instead; must not exist\n"
    "      --list              prints the files of the export, with size and rows, instead\n"
    "      --test              verifies, and writes nothing\n"
    "      --sha256 HEX        the SHA-256 of a FILE, as the API gives it (file-metadatas);\n"
    "                          repeated, in the order of the FILEs\n"
    "      --sha256sums SUMS   the same from a file as sha256sum writes it\n"
    "      --version, --help\n"
    "\n"
    "DIR or FILE has its name only once everything was verified; until then it is a hidden one\n"
    "beside it, which is removed when anything goes wrong. What --list prints is verified when "
    "the\n"
    "program ends with 0. Whoever holds the certificate can make an export, so only the SHA-256\n"
    "from the API proves where it is from.\n"
    "\n"
    "exit status: 0 good; 1 damaged, forged, incomplete, or not for this key; 2 wrong usage;\n"
    "             3 a file cannot be read or written\n";

/* What is gathered while reading. */
typedef struct line_t {
    udm_options_t *options;
    apr_pool_t *pool;
    apr_array_header_t *files; /* of const char * */
    apr_array_header_t *sums;  /* of const char * */
    const char *sums_file;
    int modes; /* how many of -o, --zip, --list, --test */
} line_t;

/* Takes "--name VALUE", "--name=VALUE" or "-n VALUE". @return false when it is another option */
static bool take_value(const char **value, int *i, int argc, const char *const *argv,
                       const char *name, const char *letter)
{
    apr_size_t size = strlen(name);

    if (strncmp(argv[*i], name, size) == 0 && argv[*i][size] == '=') {
        *value = argv[*i] + size + 1;
        return true;
    }
    if (strcmp(argv[*i], name) != 0 && (letter == NULL || strcmp(argv[*i], letter) != 0)) {
        return false;
    }
    *value = *i + 1 < argc ? argv[++*i] : NULL;
    return true;
}

/* One argument, with its value. */
static udm_error_t *read_one(line_t *line, int *i, int argc, const char *const *argv)
{
    udm_options_t *o = line->options;
    const char *a = argv[*i];
    const char *value = a;

    if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
        o->asked = UDM_ASKED_HELP;
    }
    else if (strcmp(a, "--version") == 0) {
        o->asked = UDM_ASKED_VERSION;
    }
    else if (strcmp(a, "--list") == 0 || strcmp(a, "--test") == 0) {
        o->kind = UDM_OUTPUT_NONE;
        o->list = strcmp(a, "--list") == 0;
        line->modes++;
    }
    else if (take_value(&value, i, argc, argv, "--output", "-o")) {
        o->kind = UDM_OUTPUT_DIRECTORY;
        o->target = value;
        line->modes++;
    }
    else if (take_value(&value, i, argc, argv, "--zip", NULL)) {
        o->kind = UDM_OUTPUT_ARCHIVE;
        o->target = value;
        line->modes++;
    }
    else if (take_value(&value, i, argc, argv, "--key", "-k")) {
        o->key = value;
    }
    else if (take_value(&value, i, argc, argv, "--passphrase-file", NULL)) {
        o->passphrase_file = value;
    }
    else if (take_value(&value, i, argc, argv, "--sha256sums", NULL)) {
        line->sums_file = value;
    }
    else if (take_value(&value, i, argc, argv, "--sha256", NULL)) {
        APR_ARRAY_PUSH(line->sums, const char *) = value;
    }
    else if (a[0] == '-') {
        return udm_error_make(line->pool, UDM_E_INVALID, "there is no option \"%s\"", a);
    }
    else {
        APR_ARRAY_PUSH(line->files, const char *) = a;
    }
    return value != NULL && *value != '\0'
               ? NULL
               : udm_error_make(line->pool, UDM_E_INVALID, "%s wants a value", a);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/* Reads lines "HEX  NAME" and "HEX *NAME"; names are compared without their folders. */
static udm_error_t *read_sums_file(udm_inputs_t *inputs, apr_pool_t *p, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[LINE_MOST];
    bool good = true;

    if (file == NULL) {
        return udm_error_make(p, UDM_E_STORE, "%s: cannot be opened: %s", path, strerror(errno));
    }
    while (good && fgets(line, sizeof(line), file) != NULL) {
        unsigned char sum[UDM_SHA256_SIZE];
        const char *name;

        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }
        good = strlen(line) > 2 * sizeof(sum) + 2 && line[2 * sizeof(sum)] == ' ' &&
               strchr(" *", line[2 * sizeof(sum) + 1]) != NULL;
        if (good) {
            line[2 * sizeof(sum)] = '\0';
            good = udm_text_unhex(sum, sizeof(sum), line);
        }
        name = base_name(line + 2 * sizeof(sum) + 2);
        for (uint32_t i = 0; good && i < inputs->count; i++) {
            udm_input_t *input = &inputs->list[i];

            if (strcmp(base_name(input->path), name) == 0) {
                memcpy(input->sha256, sum, sizeof(sum));
                input->has_sum = true;
            }
        }
    }
    good = good && !ferror(file);
    fclose(file);
    if (!good) {
        return udm_error_make(p, UDM_E_INVALID,
                              "%s: is not as sha256sum writes it: \"<64 hex digits>  <name>\"",
                              path);
    }
    for (uint32_t i = 0; i < inputs->count; i++) {
        if (!inputs->list[i].has_sum) {
            return udm_error_make(p, UDM_E_INVALID, "%s: has no line for %s", path,
                                  base_name(inputs->list[i].path));
        }
    }
    return NULL;
}

/* The sums of the command line, one for each file. */
static udm_error_t *take_sums(line_t *line)
{
    udm_inputs_t *inputs = &line->options->inputs;

    if (line->sums->nelts == 0) {
        return NULL;
    }
    if ((uint32_t)line->sums->nelts != inputs->count) {
        return udm_error_make(line->pool, UDM_E_INVALID,
                              "--sha256 is to be given once for each file: there are %s, and %s",
                              udm_text_count(line->pool, inputs->count, "file"),
                              udm_text_count(line->pool, line->sums->nelts, "sum"));
    }
    for (uint32_t i = 0; i < inputs->count; i++) {
        udm_input_t *input = &inputs->list[i];

        input->has_sum = true;
        if (!udm_text_unhex(input->sha256, sizeof(input->sha256),
                            APR_ARRAY_IDX(line->sums, (int)i, const char *))) {
            return udm_error_make(line->pool, UDM_E_INVALID, "--sha256 wants 64 hex digits");
        }
    }
    return NULL;
}

static udm_error_t *check(line_t *line)
{
    udm_options_t *o = line->options;

    if (o->asked != UDM_ASKED_WORK) {
        return NULL;
    }
    if (line->modes > 1) {
        return udm_error_make(line->pool, UDM_E_INVALID,
                              "give only one of -o, --zip, --list and --test");
    }
    if (o->key == NULL) {
        return udm_error_make(line->pool, UDM_E_INVALID, "give the private key: -k KEY");
    }
    if (line->files->nelts == 0) {
        return udm_error_make(line->pool, UDM_E_INVALID, "give the files of an export");
    }
    if (line->sums->nelts != 0 && line->sums_file != NULL) {
        return udm_error_make(line->pool, UDM_E_INVALID, "give either --sha256 or --sha256sums");
    }
    o->inputs.count = (uint32_t)line->files->nelts;
    o->inputs.list = apr_pcalloc(line->pool, o->inputs.count * sizeof(*o->inputs.list));
    for (uint32_t i = 0; i < o->inputs.count; i++) {
        o->inputs.list[i].path = APR_ARRAY_IDX(line->files, (int)i, const char *);
    }
    o->has_sums = line->sums->nelts != 0 || line->sums_file != NULL;
    if (line->sums_file != NULL) {
        return read_sums_file(&o->inputs, line->pool, line->sums_file);
    }
    return take_sums(line);
}

udm_error_t *udm_options_read(udm_options_t *options, apr_pool_t *p, int argc,
                              const char *const *argv)
{
    line_t line = {.options = options, .pool = p};
    udm_error_t *error = NULL;
    int i;

    memset(options, 0, sizeof(*options));
    options->kind = UDM_OUTPUT_DIRECTORY;
    line.files = apr_array_make(p, 16, sizeof(const char *));
    line.sums = apr_array_make(p, 16, sizeof(const char *));
    for (i = 1; error == NULL && i < argc && strcmp(argv[i], "--") != 0; i++) {
        error = read_one(&line, &i, argc, argv);
    }
    for (i++; error == NULL && i < argc; i++) {
        APR_ARRAY_PUSH(line.files, const char *) = argv[i];
    }
    return error != NULL ? error : check(&line);
}
