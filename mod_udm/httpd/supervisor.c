/* Copyright 2026 The mod_udm authors. SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.c: starts udm-worker, starts it again when it dies, and lets it go.
 *
 * The worker reads its settings from stdin, which is a socket that the parent keeps. At a graceful
 * restart the socket closes: the worker finishes what it runs and takes no more, while the next
 * generation of httpd starts a worker of its own. When httpd ends, the line "stop" makes it hand
 * its runs back at once. The worker is in a session of its own, because some MPMs signal the whole
 * process group; and it is not noted in a pool for killing, because httpd would then kill it three
 * seconds after each reload.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_log.h>

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include "httpd/config.h"
#include "httpd/supervisor.h"

APLOG_USE_MODULE(udm);

#define RETAINED_KEY "udm-supervisor"
/* Workers of earlier generations that are watched until they end. */
#define OLD_MAX 16
/* How many of them may finish their runs; one more hands them back, for each takes its memory. */
#define FINISHING_MAX 4
/* A worker that lived this long is started again at once, else after a delay that doubles. */
#define LIVED_WELL  apr_time_from_sec(60)
#define DELAY_FIRST apr_time_from_sec(1)
#define DELAY_MAX   apr_time_from_sec(300)
/* How long the end of httpd waits for the worker to hand its runs back, in steps of 10 ms. */
#define STOP_STEPS 300

/* Outlives a restart, when the module is loaded anew: plain data, no pointers. */
typedef struct retained_t {
    pid_t old[OLD_MAX]; /* 0: free */
} retained_t;

/* A worker of an earlier generation, watched so that its end is no surprise to httpd. */
typedef struct old_worker_t {
    apr_proc_t proc;
    pid_t *slot;
} old_worker_t;

/* The worker of this generation; of the main server. */
struct udm_supervisor_t {
    apr_pool_t *pool;
    server_rec *server;
    pid_t parent; /* the process that started it: a child must not touch it */
    apr_proc_t proc;
    int control; /* the parent's end of the worker's stdin, or -1 */
    bool running;
    apr_time_t started;
    apr_time_t due; /* when it is to be started again */
    apr_interval_time_t delay;
};

static udm_supervisor_t *supervisor(void)
{
    return udm_config_main()->supervisor;
}

/* In the new process: nothing but calls that are safe between fork and exec. */
static void become_worker(const char *program, int control, int report)
{
    static const char argument[] = "--supervised";
    const char *argv[] = {program, argument, NULL};
    struct sigaction action;
    sigset_t none;
    int fd, number, error;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    for (number = 1; number < NSIG; number++) {
        (void)sigaction(number, &action, NULL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    (void)umask(0027);
    /* stdin is the control socket, stdout goes where stderr goes, 3 reports a failing exec */
    if (dup2(control, 0) >= 0 && dup2(2, 1) >= 0 && (report == 3 || dup2(report, 3) >= 0) &&
        fcntl(3, F_SETFD, FD_CLOEXEC) == 0) {
        for (fd = 4; fd < 4096; fd++) {
            (void)close(fd);
        }
        execv(program, (char *const *)argv);
    }
    error = errno;
    if (write(3, &error, sizeof(error)) < 0) {
        _exit(126);
    }
    _exit(127);
}

/* Sends a text to the worker. It may be gone: that is no reason to die of SIGPIPE. */
static bool tell(int control, const char *text)
{
    apr_size_t left = strlen(text);

    while (left > 0) {
        ssize_t sent = send(control, text, left, MSG_NOSIGNAL);

        if (sent < 0 && errno != EINTR) {
            return false;
        }
        if (sent > 0) {
            text += sent;
            left -= (apr_size_t)sent;
        }
    }
    return true;
}

static void maintain(int reason, void *data, int status);

/* Starts the program. @return 0 or the errno of what failed */
static int launch(udm_supervisor_t *sup)
{
    const udm_server_t *conf = udm_config_main();
    const char *program = udm_config_worker_program(conf);
    const char *settings =
        apr_pstrcat(sup->pool, udm_config_worker_settings(sup->pool, conf), "end\n", NULL);
    int control[2] = {-1, -1};
    int report[2] = {-1, -1};
    int error = 0;
    ssize_t got;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0 ||
        pipe2(report, O_CLOEXEC) < 0) {
        error = errno;
        goto out;
    }
    pid = fork();
    if (pid < 0) {
        error = errno;
        goto out;
    }
    if (pid == 0) {
        become_worker(program, control[1], report[1]);
    }
    close(report[1]);
    report[1] = -1;
    do {
        got = read(report[0], &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    if (got != 0) {
        error = got == (ssize_t)sizeof(error) ? error : EIO;
        (void)waitpid(pid, NULL, 0);
        goto out;
    }
    error = 0;
    (void)tell(control[0], settings);
    sup->proc.pid = pid;
    sup->control = control[0];
    control[0] = -1;
    sup->running = true;
    sup->started = apr_time_now();
    apr_proc_other_child_register(&sup->proc, maintain, sup, NULL, sup->pool);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, sup->server,
                 "UDM0080: started %s, pid %" APR_PID_T_FMT, program, pid);
out:
    if (control[0] >= 0) {
        close(control[0]);
    }
    if (control[1] >= 0) {
        close(control[1]);
    }
    if (report[0] >= 0) {
        close(report[0]);
    }
    if (report[1] >= 0) {
        close(report[1]);
    }
    return error;
}

/* Starts the worker, or says when that is tried next. */
static void launch_again(udm_supervisor_t *sup)
{
    int error = launch(sup);

    if (error) {
        sup->delay = sup->delay * 2 > DELAY_MAX ? DELAY_MAX : sup->delay * 2;
        sup->due = apr_time_now() + sup->delay;
        ap_log_error(APLOG_MARK, APLOG_ERR, error, sup->server,
                     "UDM0081: cannot start the worker; tried again in %d s",
                     (int)apr_time_sec(sup->delay));
    }
}

/* What httpd says of the worker, in the parent. */
static void maintain(int reason, void *data, int status)
{
    udm_supervisor_t *sup = data;

    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return;
    }
    apr_proc_other_child_unregister(sup);
    sup->running = false;
    if (sup->control >= 0) {
        close(sup->control);
        sup->control = -1;
    }
    if (apr_time_now() - sup->started >= LIVED_WELL) {
        sup->delay = DELAY_FIRST;
        sup->due = apr_time_now();
    }
    else {
        sup->due = apr_time_now() + sup->delay;
        sup->delay = sup->delay * 2 > DELAY_MAX ? DELAY_MAX : sup->delay * 2;
    }
    /* httpd does not say which of the two it is */
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, sup->server,
                 "UDM0082: the worker, pid %" APR_PID_T_FMT
                 ", ended by itself (exit status or signal %d)",
                 sup->proc.pid, status);
    if (apr_time_now() >= sup->due) {
        launch_again(sup);
    }
}

/* The end of a worker that an earlier generation left behind. */
static void maintain_old(int reason, void *data, int status)
{
    old_worker_t *old = data;

    if (reason == APR_OC_REASON_DEATH || reason == APR_OC_REASON_LOST) {
        *old->slot = 0;
        apr_proc_other_child_unregister(old);
    }
}

/* Watches the workers that earlier generations left behind. */
static void adopt(apr_pool_t *pconf, retained_t *retained)
{
    int i;

    for (i = 0; i < OLD_MAX; i++) {
        old_worker_t *old;

        if (retained->old[i] && waitpid(retained->old[i], NULL, WNOHANG) != 0) {
            retained->old[i] = 0;
        }
        if (!retained->old[i]) {
            continue;
        }
        old = apr_pcalloc(pconf, sizeof(*old));
        old->proc.pid = retained->old[i];
        old->slot = &retained->old[i];
        apr_proc_other_child_register(&old->proc, maintain_old, old, NULL, pconf);
    }
}

/* @return how many workers earlier generations left behind */
static int count_old(void)
{
    const retained_t *retained = ap_retained_data_get(RETAINED_KEY);
    int i, count = 0;

    for (i = 0; retained && i < OLD_MAX; i++) {
        count += retained->old[i] != 0;
    }
    return count;
}

/* The worker outlives this generation: the next one is to know it. */
static void retain(pid_t pid)
{
    retained_t *retained = ap_retained_data_get(RETAINED_KEY);
    int i;

    for (i = 0; retained && i < OLD_MAX; i++) {
        if (!retained->old[i]) {
            retained->old[i] = pid;
            return;
        }
    }
}

/* The configuration goes: at a restart, or because httpd ends. */
static apr_status_t let_go(void *data)
{
    udm_supervisor_t *sup = data;
    bool ending = ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING;
    int i;

    if (getpid() != sup->parent || !sup->running) {
        return APR_SUCCESS;
    }
    /* APR has stopped watching: its own cleanup was registered later and so ran before this one */
    if (ending || count_old() >= FINISHING_MAX) {
        (void)tell(sup->control, "stop\n");
    }
    close(sup->control);
    sup->control = -1;
    sup->running = false;
    if (!ending) {
        retain(sup->proc.pid);
        return APR_SUCCESS;
    }
    /* systemd kills what is left once httpd has ended, so the worker gets a moment before that */
    for (i = 0; i < STOP_STEPS && waitpid(sup->proc.pid, NULL, WNOHANG) == 0; i++) {
        apr_sleep(10 * 1000);
    }
    return APR_SUCCESS;
}

/*
 * When httpd ends, the workers of earlier generations hand their runs back like the last one does. A
 * restart leaves them alone.
 */
static apr_status_t end_old(void *data)
{
    const pid_t *parent = data;
    retained_t *retained = ap_retained_data_get(RETAINED_KEY);
    int i, steps = STOP_STEPS;

    if (getpid() != *parent || ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_EXITING || !retained) {
        return APR_SUCCESS;
    }
    for (i = 0; i < OLD_MAX; i++) {
        if (retained->old[i] && waitpid(retained->old[i], NULL, WNOHANG) == 0) {
            kill(retained->old[i], SIGTERM);
        }
        else {
            retained->old[i] = 0;
        }
    }
    for (i = 0; i < OLD_MAX; i++) {
        while (retained->old[i] && steps-- > 0 && waitpid(retained->old[i], NULL, WNOHANG) == 0) {
            apr_sleep(10 * 1000);
        }
    }
    return APR_SUCCESS;
}

int udm_supervisor_start(apr_pool_t *pconf, server_rec *s)
{
    udm_server_t *conf = udm_config_main();
    retained_t *retained = ap_retained_data_get(RETAINED_KEY);
    udm_supervisor_t *sup;
    bool first = retained == NULL;
    pid_t *parent;
    int error;

    if (first) {
        retained = ap_retained_data_create(RETAINED_KEY, sizeof(*retained));
    }
    parent = apr_palloc(pconf, sizeof(*parent));
    *parent = getpid();
    apr_pool_cleanup_register(pconf, parent, end_old, apr_pool_cleanup_null);
    adopt(pconf, retained);
    if (conf->worker != 1) {
        return OK;
    }
    sup = apr_pcalloc(pconf, sizeof(*sup));
    sup->pool = pconf;
    sup->server = s;
    sup->parent = getpid();
    sup->control = -1;
    sup->delay = DELAY_FIRST;
    conf->supervisor = sup;
    apr_pool_cleanup_register(pconf, sup, let_go, apr_pool_cleanup_null);
    if (!first) {
        /* what keeps the worker from starting at a restart is no reason to end httpd */
        launch_again(sup);
        return OK;
    }
    error = launch(sup);
    if (error) {
        ap_log_error(APLOG_MARK, APLOG_ERR, error, s, "UDM0083: UDMWorker On: cannot start %s",
                     udm_config_worker_program(conf));
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

int udm_supervisor_monitor(server_rec *s)
{
    udm_supervisor_t *sup = supervisor();

    if (sup && !sup->running && getpid() == sup->parent && apr_time_now() >= sup->due) {
        launch_again(sup);
    }
    return OK;
}

void udm_supervisor_child_init(void)
{
    udm_supervisor_t *sup = supervisor();

    /* a child that kept it open would hide the end of the parent's generation from the worker; with
     * -X there is one process only, and it keeps it */
    if (sup && getpid() != sup->parent && sup->control >= 0) {
        close(sup->control);
        sup->control = -1;
    }
}
