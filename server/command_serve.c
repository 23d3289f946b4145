/* gradreg serve: the server, from its configuration to its last checkpoint. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "server/commands.h"
#include "server/notify.h"
#include "server/paths.h"
#include "server/server_log.h"
#include "server/service.h"

static const char usage[] =
    "usage: gradreg serve [--config FILE] [--check] [--KEY VALUE…]\n"
    "\n"
    "  --config FILE                 a JSON object of the keys below, with \"_\" for \"-\"\n"
    "  --check                       print the configuration and what is wrong with it; do not "
    "serve\n"
    "\n"
    "A flag wins over the environment (GRADREG_ and the key in capitals), this over the file, and\n"
    "this over the default.\n"
    "\n";

enum { KEPT_FREE = 2 << 20 }; /* bytes, of each thread */

static int print_check(const configuration *chosen) {
    printf("file: %s\n\n", chosen->file ? chosen->file : "(none; --config FILE)");
    configuration_print(chosen, stdout);
    printf("\n");
    const int faults = service_check(chosen, stdout);
    printf("\n%s\n", faults ? "The server would not start." : "The server would start.");
    return faults ? 1 : 0;
}

/* Waits for a signal, and tells a watchdog meanwhile that all is well, if it is. */
static int wait_for_signal(const sigset_t *ends, service *self) {
    const int64_t interval = notify_watchdog_microseconds() / 2;
    if (interval == 0) {
        int received = 0;
        sigwait(ends, &received);
        return received;
    }
    for (;;) {
        if (service_is_well(self)) notify_supervisor("WATCHDOG=1");
        const struct timespec wait = {.tv_sec = interval / 1000000,
                                      .tv_nsec = interval % 1000000 * 1000};
        const int received = sigtimedwait(ends, NULL, &wait);
        if (received > 0 || (errno != EAGAIN && errno != EINTR)) return received;
    }
}

static void serve_until_signal(service *self, const sigset_t *ends, const sigset_t *before) {
    printf("gradreg listening on %s\n", self->address.url);
    fflush(stdout);
    LOG(LOG_INFO, "started", log_text("version", GRADREG_VERSION),
        log_text("address", self->address.url), log_text("data_dir", self->api.data_directory),
        log_text("token", self->api.access.required ? "required" : "not required"));
    notify_supervisor("READY=1");
    const int received = wait_for_signal(ends, self);
    notify_supervisor("STOPPING=1");
    LOG(LOG_INFO, "stopping", log_integer("signal", received),
        log_text("detail", "what is running is checkpointed and goes on at the next start"));
    /* Whoever asks a second time is not made to wait: nothing that was told to be stored can be
     * lost. */
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static int serve(const configuration *chosen) {
    /* Threads inherit the mask: the signals wait for this thread, which takes them above. */
    sigset_t ends, before;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a full disk to who writes it */
    /* Else each thread gives the pages of an answer back to the system at its end, to be given them
     * again, zeroed, for the next. */
    mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
    mallopt(M_MMAP_THRESHOLD, KEPT_FREE / 2);
    pthread_sigmask(SIG_BLOCK, &ends, &before);
    paths_keep_private();
    const char *format = configuration_text(chosen, CONFIGURATION_LOG_FORMAT);
    log_start(*format == 'j' ? LOG_JSON : LOG_TEXT,
              log_level_from_name(configuration_text(chosen, CONFIGURATION_LOG_LEVEL)));
    static service self; /* large; there is one */
    gr_error error = {0};
    const gr_status status = service_start(&self, chosen, &error);
    if (status == GR_OK)
        serve_until_signal(&self, &ends, &before);
    else
        fprintf(stderr, "gradreg serve: %s\n", error.message);
    service_stop(&self);
    if (status == GR_OK) LOG(LOG_INFO, "stopped", log_integer("status", 0));
    return status == GR_OK ? 0 : 1;
}

int command_serve(int argc, char **argv) {
    configuration chosen;
    gr_error error = {0};
    int status = 2;
    if (configuration_read(&chosen, argc, argv, &error) != GR_OK) {
        fprintf(stderr, "gradreg serve: %s\n", error.message);
    } else if (chosen.help) {
        fputs(usage, stdout);
        configuration_print_flags(stdout);
        status = 0;
    } else {
        status = chosen.check ? print_check(&chosen) : serve(&chosen);
    }
    configuration_clear(&chosen);
    return status;
}
