/* What systemd wants to hear (sd_notify(3)'s protocol): a datagram to the socket it names. */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…", one a line. Nothing where nobody listens. */
void notify_supervisor(const char *message);
/* Microseconds between two "WATCHDOG=1" at the most, or 0 where none is wanted of this process. */
int64_t notify_watchdog_microseconds(void);

#endif
