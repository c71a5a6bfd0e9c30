/* An end that is a Class 1 fax modem (ITU-T T.31): libspandsp's, with a pseudo terminal for the serial port of its host. */
#include "box.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
    ETX = 0x03,
    OUT_ROOM = 1 << 20,
    /* A block of 10 ms takes 18 octets at 14400 bit/s; a transmitter that runs dry within one puts zeros into a code word. */
    ENOUGH_DATA = 64
};

/* The results that answer a command (T.31 8.1 and V.250 5.7). */
static const char *const results[] = {"OK", "CONNECT", "NO CARRIER", "ERROR", "BUSY", "NO ANSWER", "NO DIALTONE", "+FCERROR", "+FRH:3"};

static void flush(struct modem *modem)
{
    bool any = false;
    while (modem->out_length > 0) {
        const ssize_t taken = write(modem->master, modem->out, modem->out_length);
        if (taken <= 0)
            break;
        modem->out_length -= (size_t)taken;
        memmove(modem->out, modem->out + taken, modem->out_length);
        any = true;
    }
    if (any) {
        /* What is written to a master comes to the slave by a worker of the kernel's, any time later; on a busy machine seconds
           of virtual time go by before it runs. Whoever looks at the slave waits for that worker. */
        struct pollfd slave = {.fd = modem->slave, .events = POLLIN};
        poll(&slave, 1, 0);
    }
}

static void say(struct end *end, const void *octets, size_t length)
{
    struct modem *modem = &end->modem;
    if (modem->out_length + length > OUT_ROOM) {
        event_of("overrun", end);
        return;
    }
    memcpy(modem->out + modem->out_length, octets, length);
    modem->out_length += length;
    flush(modem);
}

/* What host and modem say to each other in command mode. */
static void overheard(const struct end *end, char direction, const char *text, int length)
{
    if (verbose)
        fprintf(stderr, "%9.3f modem %c %c %.*s\n", (double)line_now / RATE, end->name, direction, length, text);
}

static int from_modem(at_state_t *at, void *user, const uint8_t *octets, size_t length)
{
    struct end *end = user;
    (void)at;
    for (size_t number = 0; number < sizeof results / sizeof *results; number++)
        if (length == strlen(results[number]) && memcmp(octets, results[number], length) == 0) {
            end->modem.owes = false;
            end->modem.result = results[number];
            overheard(end, '>', results[number], (int)length);
        }
    say(end, octets, length);
    return 0;
}

static int control(t31_state_t *t31, void *user, int operation, const char *argument)
{
    struct end *end = user;
    (void)t31;
    switch (operation) {
    case AT_MODEM_CONTROL_CALL:
        end->wants_call = true;
        snprintf(end->dials, sizeof end->dials, "%s", argument != NULL ? argument : "");
        break;
    case AT_MODEM_CONTROL_ANSWER:
        if (!exchange_rings_at(end))
            return -1;
        end->wants_answer = true;
        break;
    case AT_MODEM_CONTROL_HANGUP:
        end->wants_hangup = true;
        break;
    case AT_MODEM_CONTROL_CTS:
        end->modem.clear_to_send = argument != NULL;
        break;
    default:
        /* Lamps, and things that this line has not. */
        break;
    }
    return 0;
}

void modem_open(struct end *end)
{
    struct modem *modem = &end->modem;
    char path[128];
    struct termios settings;
    memset(&settings, 0, sizeof settings);
    cfmakeraw(&settings);
    settings.c_cflag |= CREAD | CLOCAL | CS8;
    cfsetspeed(&settings, B115200);
    if (openpty(&modem->master, &modem->slave, path, &settings, NULL) != 0 || fcntl(modem->master, F_SETFL, O_NONBLOCK) != 0)
        fail("no pseudo terminal");
    modem->out = malloc(OUT_ROOM);
    modem->clear_to_send = true;
    modem->t31 = t31_init(NULL, from_modem, end, control, end, NULL, NULL);
    if (modem->out == NULL || modem->t31 == NULL)
        fail("no modem");
    t31_set_transmit_on_idle(modem->t31, TRUE);
    if (verbose) {
        logging_state_t *log = t31_get_logging_state(modem->t31);
        const char letter[2] = {end->name, '\0'};
        span_log_set_level(log, SPAN_LOG_SHOW_SEVERITY | SPAN_LOG_SHOW_PROTOCOL | SPAN_LOG_FLOW);
        span_log_set_tag(log, letter);
    }
    const char letter[2] = {end->name, '\0'};
    event_begin("modem");
    event_text("end", letter);
    event_text("port", path);
    event_end();
}

void modem_take(struct end *end)
{
    struct modem *modem = &end->modem;
    at_state_t *at = &modem->t31->at_state;
    uint8_t octets[512];
    flush(modem);
    while (modem->clear_to_send && !end->wants_call && !end->wants_answer && !end->wants_hangup) {
        const int mode = at->at_rx_mode;
        /* One at a time where commands are read: the octets behind a command line may be data already. */
        const ssize_t taken = read(modem->master, octets, mode == AT_MODE_STUFFED ? sizeof octets : 1);
        if (taken <= 0)
            return;
        bool asks = false;
        if (mode == AT_MODE_ONHOOK_COMMAND || mode == AT_MODE_OFFHOOK_COMMAND)
            asks = octets[0] == '\r';
        else if (mode == AT_MODE_HDLC)
            asks = modem->t31->dled && octets[0] == ETX;
        else if (mode == AT_MODE_DELIVERY)
            /* Any octet breaks reception off, and OK follows (T.31 8.3.3). */
            asks = true;
        modem->owes = modem->owes || asks;
        if (asks)
            overheard(end, '<', at->line, at->line_ptr);
        t31_at_rx(modem->t31, (const char *)octets, (int)taken);
        if (mode == AT_MODE_STUFFED && at->at_rx_mode != AT_MODE_STUFFED)
            /* DLE ETX: OK follows when the carrier is off. */
            modem->owes = true;
    }
}

enum turn modem_turn(const struct end *end)
{
    const struct modem *modem = &end->modem;
    const t31_state_t *t31 = modem->t31;
    if (modem->out_length > 0)
        return STARVED;
    if (modem->owes || t31->at_state.dte_is_waiting || t31->at_state.ok_is_pending)
        return FREE;
    switch (t31->at_state.at_rx_mode) {
    case AT_MODE_DELIVERY:
        return FREE;
    case AT_MODE_STUFFED:
        return t31->tx.final || t31->tx.in_bytes - t31->tx.out_bytes >= ENOUGH_DATA ? FREE : STARVED;
    default:
        return HOST;
    }
}

bool modem_on_hook(const struct end *end)
{
    return end->modem.t31->at_state.at_rx_mode == AT_MODE_ONHOOK_COMMAND;
}

void modem_event(struct end *end, int event)
{
    t31_call_event(end->modem.t31, event);
}

void modem_rings(struct end *end, int ring, const char *from, const char *to)
{
    modem_event(end, AT_CALL_EVENT_ALERTING);
    if (ring != 1 || !end->modem.tells_caller)
        return;
    char lines[2 * NUMBER + 64];
    const int length = snprintf(lines, sizeof lines, "\r\nNMBR = %s\r\n\r\nNDID = %s\r\n", from, to);
    say(end, lines, (size_t)length);
}

void modem_hangs_up(struct end *end)
{
    end->modem.result = NULL;
    modem_event(end, AT_CALL_EVENT_HANGUP);
    /* libspandsp's says nothing while it transmits; any other modem does (V.250 6.3.1). */
    if (end->modem.result == NULL) {
        const char *lost = "NO CARRIER";
        say(end, "\r\n", 2);
        from_modem(NULL, end, (const uint8_t *)lost, strlen(lost));
        say(end, "\r\n", 2);
    }
    end->wants_hangup = false;
    end->modem.clear_to_send = true;
    end->modem.owes = false;
}

int modem_transmit(struct end *end, int16_t *audio, int samples)
{
    return t31_tx(end->modem.t31, audio, samples);
}

void modem_receive(struct end *end, int16_t *audio, int samples)
{
    t31_rx(end->modem.t31, audio, samples);
}
