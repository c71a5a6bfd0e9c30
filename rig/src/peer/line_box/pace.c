/*
 * How fast time goes. The box has a time of its own: while the modems owe their hosts something it runs as fast as it can,
 * while it is a host's turn it goes at a pace at which that host can keep up, and it stands still while a host has yet to
 * deliver page data. A caller with a clock of its own may ask to be told of every few milliseconds, and time goes
 * on when the caller has followed ("go").
 */
#include "box.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct pace pace = {.factor = 0, .think = 1, .tick = 0};

/* Longest that time stands still for a host that does not deliver: then it creeps, for the host may have died. */
enum { PATIENCE_MS = 200, STEP_NS = 1000000000 / RATE * BLOCK };

static int64_t due;
static bool followed = true;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Standard input, a line at a time. The caller closes it when it has no further use for the box. */
static void commands(void)
{
    static char line[4096];
    static size_t length;
    char octet;
    for (;;) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&input, 1, 0) <= 0)
            return;
        const ssize_t taken = read(STDIN_FILENO, &octet, 1);
        if (taken == 0)
            _exit(0);
        if (taken < 0)
            return;
        if (octet != '\n') {
            if (length < sizeof line - 1)
                line[length++] = octet;
            continue;
        }
        line[length] = '\0';
        length = 0;
        if (strcmp(line, "go") == 0)
            followed = true;
        else
            pace_command(line);
    }
}

/* Waits at most NANOSECONDS for a host or the caller. Whether something has come. */
static bool something_comes(int64_t nanoseconds)
{
    struct pollfd watched[3] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    nfds_t count = 1;
    for (int number = 0; number < 2; number++) {
        const struct modem *modem = &ends[number].modem;
        if (ends[number].kind != MODEM)
            continue;
        watched[count].fd = modem->master;
        watched[count].events = (short)((modem->clear_to_send ? POLLIN : 0) | (modem->out_length > 0 ? POLLOUT : 0));
        count++;
    }
    const struct timespec wait = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    const bool comes = ppoll(watched, count, &wait, NULL) > 0;
    if (comes && watched[0].revents != 0)
        commands();
    return comes;
}

/* A step of time that takes STEP / FACTOR of real time, and as soon as something comes none yet. */
static bool measured(double factor)
{
    const int64_t step = (int64_t)(STEP_NS / factor);
    const int64_t begin = now();
    if (due < begin - PATIENCE_MS * 1000000LL || due > begin + step)
        due = begin;
    due += step;
    for (int64_t at = begin; at < due; at = now()) {
        if (something_comes(due - at)) {
            due -= step;
            return false;
        }
    }
    return true;
}

bool pace_wait(enum turn turn)
{
    switch (turn) {
    case STARVED:
        return !something_comes(PATIENCE_MS * 1000000LL);
    case HOST:
        return measured(pace.think);
    default:
        if (pace.factor > 0) {
            /* A ceiling alone: what comes meanwhile waits for the end of this step. */
            while (!measured(pace.factor)) {
                for (int number = 0; number < 2; number++)
                    if (ends[number].kind == MODEM)
                        modem_take(&ends[number]);
            }
        } else {
            something_comes(0);
        }
        return true;
    }
}

void pace_tick(void)
{
    if (pace.tick == 0 || line_now % (uint64_t)(pace.tick * RATE / 1000) >= BLOCK)
        return;
    followed = false;
    event_begin("tick");
    event_end();
    while (!followed) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&input, 1, -1) < 0 && errno != EINTR)
            fail("standard input");
        commands();
    }
}
