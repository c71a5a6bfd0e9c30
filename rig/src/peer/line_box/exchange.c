/* The exchange: dial, ring, answer, hang up, and every way in which a call does not come about or does not last. */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_RING = RATE / 10,
    RING_CADENCE = 6 * RATE,
    RINGS = 10                  /* after which nobody is at home */
};

/* IDLE, RINGING, UP; CUT: both ends believe that they are connected and hear nothing any more. */
static enum { IDLE, RINGING, UP, CUT } state;
static struct end *caller;
static uint64_t next_ring, answered_at;
static int rings, calls_over;

static struct {
    bool armed, silently, waits;
    char *after;                /* a frame's name, or NULL for the answer */
    int nth, heard;
    double seconds;
    uint64_t since;
} cut;

static struct { char how[16]; int calls; } refuse;

bool exchange_idle(void) { return state == IDLE; }
bool exchange_connected(void) { return state == UP; }
bool exchange_rings_at(const struct end *callee) { return state == RINGING && caller != callee; }
int exchange_calls(void) { return calls_over; }

void exchange_cut(char *options)
{
    char *how = option(options, "how");
    cut.armed = true;
    cut.silently = how == NULL || strcmp(how, "hangup") != 0;
    cut.after = option(options, "after");
    cut.nth = (int)option_number(options, "nth", 1);
    cut.seconds = option_number(options, "seconds", 0);
    free(how);
}

void exchange_refuse(const char *how, int calls)
{
    snprintf(refuse.how, sizeof refuse.how, "%s", how);
    refuse.calls = calls;
}

static void connection_ends(const struct end *by, const char *why)
{
    const char letter[2] = {by != NULL ? by->name : '\0', '\0'};
    const double seconds = answered_at > 0 ? (double)(line_now - answered_at) / RATE : 0;
    const bool told = state != CUT;
    state = IDLE;
    caller = NULL;
    answered_at = 0;
    for (int number = 0; number < 2; number++) {
        struct end *end = &ends[number];
        end->off_line = false;
        if (end->kind == MACHINE)
            machine_ends(end);
        else if (end != by && told && !modem_on_hook(end))
            modem_hangs_up(end);
    }
    /* Last: by now the machines have told their results. */
    event_begin("down");
    event_text("why", why);
    event_text("by", letter);
    event_number("seconds", seconds);
    event_end();
    calls_over++;
}

void exchange_cut_now(bool silently)
{
    if (state != UP)
        return;
    cut.waits = false;
    if (!silently) {
        connection_ends(NULL, "cut");
        return;
    }
    state = CUT;
    event_begin("cut");
    event_end();
}

void exchange_frame(const char *name)
{
    if (!cut.armed || cut.waits || cut.after == NULL || strcmp(cut.after, name) != 0)
        return;
    if (++cut.heard < cut.nth)
        return;
    cut.waits = true;
    cut.since = line_now;
}

static void connect_ends(void)
{
    struct end *callee = caller->peer;
    state = UP;
    answered_at = line_now;
    event_of("answered", callee);
    line_call_begins();
    monitor_begin();
    cut.heard = 0;
    cut.waits = cut.armed && cut.after == NULL;
    cut.since = line_now;
    if (callee->kind == MODEM)
        modem_event(callee, AT_CALL_EVENT_ANSWERED);
    else
        machine_begins(callee, false);
    if (caller->kind == MODEM)
        modem_event(caller, AT_CALL_EVENT_CONNECTED);
    else
        machine_begins(caller, true);
}

static void refused(struct end *end, const char *how, int event)
{
    const char letter[2] = {end->name, '\0'};
    event_begin("refused");
    event_text("end", letter);
    event_text("why", how);
    event_end();
    if (end->kind == MODEM)
        modem_event(end, event);
    calls_over++;
}

/* The callee does not hear of a call that the exchange lets ring in vain. */
static bool rings_in_vain(void) { return refuse.calls > 0 && strcmp(refuse.how, "no-answer") == 0; }

static void dials(struct end *end)
{
    const char letter[2] = {end->name, '\0'};
    end->wants_call = false;
    event_begin("dial");
    event_text("end", letter);
    event_text("number", end->dials);
    event_end();
    if (refuse.calls > 0 && strcmp(refuse.how, "no-dialtone") == 0) {
        refuse.calls--;
        refused(end, "no dialtone", AT_CALL_EVENT_NO_DIALTONE);
        return;
    }
    const bool refused_busy = refuse.calls > 0 && strcmp(refuse.how, "busy") == 0;
    refuse.calls -= refused_busy;
    if (refused_busy || state != IDLE || (end->peer->kind == MODEM && !modem_on_hook(end->peer))) {
        refused(end, "busy", AT_CALL_EVENT_BUSY);
        return;
    }
    state = RINGING;
    caller = end;
    next_ring = line_now + FIRST_RING;
    rings = 0;
}

static void ring(void)
{
    struct end *callee = caller->peer;
    next_ring += RING_CADENCE;
    rings++;
    if (rings > RINGS) {
        refuse.calls -= rings_in_vain();
        /* Told while the call still stands: to a caller alone. */
        if (caller->kind == MODEM)
            modem_event(caller, AT_CALL_EVENT_NO_ANSWER);
        connection_ends(caller, "no answer");
        return;
    }
    event_of("ring", callee);
    if (rings_in_vain())
        return;
    if (callee->kind == MODEM)
        modem_rings(callee, rings, caller->number, caller->dials);
    else if (rings >= callee->rings)
        callee->wants_answer = true;
}

static void hangs_up(struct end *end)
{
    end->wants_hangup = false;
    if (state == UP || (state == RINGING && caller == end)) {
        connection_ends(end, "hangup");
    } else if (state == CUT) {
        end->off_line = true;
        if (end->peer->off_line)
            connection_ends(end, "hangup");
    }
    /* A modem that only rings and is reset meanwhile does not end the call. */
}

void exchange_step(void)
{
    for (int number = 0; number < 2; number++) {
        struct end *end = &ends[number];
        if (end->kind == MACHINE && end->machine.dials_at >= 0 && line_now >= end->machine.dials_at * RATE && state == IDLE) {
            end->machine.dials_at = -1;
            end->wants_call = true;
        }
        if (end->wants_call)
            dials(end);
        if (end->wants_hangup)
            hangs_up(end);
    }
    if (state == RINGING && line_now >= next_ring)
        ring();
    for (int number = 0; number < 2; number++) {
        if (!ends[number].wants_answer)
            continue;
        ends[number].wants_answer = false;
        if (exchange_rings_at(&ends[number]))
            connect_ends();
    }
    if (state == UP && cut.waits && line_now >= cut.since + (uint64_t)(cut.seconds * RATE))
        exchange_cut_now(cut.silently);
    for (int number = 0; number < 2; number++) {
        struct end *end = &ends[number];
        if (end->kind == MACHINE && !end->off_line && machine_has_finished(end))
            hangs_up(end);
    }
}
