/* The line: carries the audio of each end to the other, later, and with noise where that is asked for. */
#include "box.h"

#include <stdlib.h>
#include <string.h>

uint64_t line_now;

/* Noise towards one end or both, in a window of time that begins with the answer or with a frame of T.30. */
struct noise {
    double level;               /* dBm0 */
    char towards;               /* 'A', 'B', or 0 for both */
    char *after;                /* a frame's name, or NULL for the answer */
    double from, until;         /* seconds after that; until 0: for ever */
    bool begun;
    uint64_t since;
    awgn_state_t *source[2];
};

enum { NOISES = 8 };
static struct noise noises[NOISES];
static int noise_count;

/* 40 ms each way is a usual line. Without any, a host that answers at once leaves its peer no silence between two signals,
   and training never comes to its end. */
static int delay = 40 * RATE / 1000;
static int16_t in_flight[2][DELAY_MAX];
static int in_flight_at;

void line_delay(int milliseconds)
{
    delay = milliseconds * RATE / 1000 / BLOCK * BLOCK;
    if (delay < 0 || delay > DELAY_MAX)
        fail("the delay is 0 to 1000 ms");
}

void line_noise(char *options)
{
    if (noise_count == NOISES)
        fail("that many noises there are not");
    struct noise *noise = &noises[noise_count++];
    noise->level = option_number(options, "level", -20);
    noise->from = option_number(options, "from", 0);
    noise->until = option_number(options, "until", 0);
    noise->after = option(options, "after");
    char *towards = option(options, "towards");
    noise->towards = towards != NULL ? towards[0] : '\0';
    free(towards);
    const int seed = (int)option_number(options, "seed", 1);
    for (int end = 0; end < 2; end++)
        noise->source[end] = awgn_init_dbm0(NULL, 7919 * seed + end, (float)noise->level);
}

static void noise_begins(const char *after)
{
    for (int number = 0; number < noise_count; number++) {
        struct noise *noise = &noises[number];
        const bool this_one = after == NULL ? noise->after == NULL : noise->after != NULL && strcmp(noise->after, after) == 0;
        if (this_one && !noise->begun) {
            noise->begun = true;
            noise->since = line_now;
        }
    }
}

void line_call_begins(void)
{
    for (int number = 0; number < noise_count; number++)
        noises[number].begun = false;
    noise_begins(NULL);
}

void line_frame(const char *name)
{
    noise_begins(name);
}

static void disturb(int towards, int16_t *audio)
{
    for (int number = 0; number < noise_count; number++) {
        struct noise *noise = &noises[number];
        const double seconds = (double)(line_now - noise->since) / RATE;
        if (!noise->begun || seconds < noise->from || (noise->until > 0 && seconds >= noise->until))
            continue;
        if (noise->towards != '\0' && noise->towards != ends[towards].name)
            continue;
        for (int at = 0; at < BLOCK; at++)
            audio[at] = saturate(audio[at] + awgn(noise->source[towards]));
    }
}

/* What comes out at the far side: what went in DELAY ago. */
static void travel(int16_t audio[2][BLOCK], bool connected)
{
    if (!connected)
        memset(in_flight, 0, sizeof in_flight);
    if (delay == 0)
        return;
    for (int end = 0; end < 2; end++) {
        int16_t arrives[BLOCK];
        memcpy(arrives, &in_flight[end][in_flight_at], sizeof arrives);
        memcpy(&in_flight[end][in_flight_at], audio[end], sizeof arrives);
        memcpy(audio[end], arrives, sizeof arrives);
    }
    in_flight_at = (in_flight_at + BLOCK) % delay;
}

void line_block(bool connected)
{
    int16_t audio[2][BLOCK];
    for (int end = 0; end < 2; end++) {
        struct end *sends = &ends[end];
        int samples = sends->kind == MODEM ? modem_transmit(sends, audio[end], BLOCK) : machine_transmit(sends, audio[end], BLOCK);
        /* The ends are run without a connection too, so that their clocks go on; nobody hears them. */
        if (!connected)
            samples = 0;
        memset(&audio[end][samples], 0, sizeof(int16_t) * (size_t)(BLOCK - samples));
        if (connected)
            monitor_block(end, audio[end]);
    }
    travel(audio, connected);
    for (int end = 0; end < 2; end++) {
        struct end *hears = &ends[end];
        int16_t *arrives = audio[1 - end];
        if (connected)
            disturb(end, arrives);
        if (hears->kind == MODEM)
            modem_receive(hears, arrives, BLOCK);
        else
            machine_receive(hears, arrives, BLOCK);
    }
    line_now += BLOCK;
}
