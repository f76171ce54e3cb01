/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: the names of what a job or a run shows.
 */
#include "core/run.h"

#include <string.h>

static const udm_label_t labels[] = {{"SCHEDULED", "Scheduled"},     {"QUEUED", "Queued"},
                                     {"IN_PROGRESS", "In Progress"}, {"COMPLETED", "Completed"},
                                     {"FAILED", "Failed"},           {"CANCELLED", "Cancelled"},
                                     {"SUSPENDED", "Suspended"},     {NULL, NULL}};

/* Of which status each of them tells. */
static const udm_status statuses[] = {
    UDM_STATUS_SCHEDULED, UDM_STATUS_QUEUED,    UDM_STATUS_IN_PROGRESS, UDM_STATUS_COMPLETED,
    UDM_STATUS_FAILED,    UDM_STATUS_CANCELLED, UDM_STATUS_SUSPENDED,   UDM_STATUS_NONE};

const udm_label_t *udm_status_labels(void)
{
    return labels;
}

const char *udm_status_name(udm_status status)
{
    int i = 0;

    while (labels[i].value && statuses[i] != status) {
        i++;
    }
    return labels[i].value;
}

udm_status udm_status_of(const char *name)
{
    int i = 0;

    while (labels[i].value && strcmp(labels[i].value, name) != 0) {
        i++;
    }
    return statuses[i];
}

bool udm_status_is_active(udm_status status)
{
    return status == UDM_STATUS_QUEUED || status == UDM_STATUS_IN_PROGRESS ||
           status == UDM_STATUS_SUSPENDED;
}
