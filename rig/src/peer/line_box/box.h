/*
 * A telephone line in a box: two ends, an exchange between them, and the audio of the line, 8000 samples a second of
 * a time of its own. An end is a Class 1 fax modem on a pseudo terminal (ITU-T T.31) or a whole fax machine (T.30), both
 * libspandsp's. For tests only.
 */
#ifndef LINE_BOX_H
#define LINE_BOX_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tiffio.h>
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES
#include <spandsp.h>

enum {
    RATE = 8000,                /* samples a second */
    BLOCK = 80,                 /* samples that the line moves on by at a time: 10 ms */
    NUMBER = 64,                /* longest dialled number, with its end */
    DELAY_MAX = RATE            /* longest delay of the line: 1 s */
};

/* What an end is. */
enum kind { MODEM, MACHINE };

/* Whose move it is at a modem, which decides how fast time may go (pace.c). */
enum turn {
    FREE,                       /* the modem owes its host an answer: nobody out there waits for the clock */
    HOST,                       /* the host may think and type */
    STARVED                     /* the host has to deliver or to take octets before the line may go on */
};

/* A Class 1 modem and the pseudo terminal towards its host. */
struct modem {
    t31_state_t *t31;
    int master, slave;          /* the slave is kept open: a host that closes it does not end the modem */
    bool clear_to_send;         /* the modem takes octets from the host */
    bool owes;                  /* the host has asked and the modem has not answered yet */
    const char *result;         /* the last one it gave */
    uint8_t *out;               /* towards the host, not taken by the pseudo terminal yet */
    size_t out_length;
    bool tells_caller;          /* NMBR= and NDID= come after the first RING */
};

/* A whole fax machine, made anew for each call. */
struct machine {
    fax_state_t *fax;
    const char *pages_in;       /* file for what it receives; from the second call on with ".2", ".3" ... */
    char *pages_out;            /* file that it sends, or NULL */
    const char *ident, *subaddress, *modems, *codings;
    bool ecm;
    int scan_ms;                /* least time that it wants for a scan line */
    int calls;
    bool done;                  /* T.30 has reached phase E */
    double dials_at;            /* seconds, or less than 0 */
};

struct end {
    enum kind kind;
    char name;                  /* 'A' or 'B' */
    struct end *peer;
    const char *number;         /* its own telephone number */
    char dials[NUMBER];         /* the number of the call that it wants */
    bool wants_call, wants_answer, wants_hangup;
    bool off_line;              /* has hung up in a call whose line was cut without a word */
    int rings;                  /* a machine answers at this ring */
    struct modem modem;
    struct machine machine;
};

extern struct end ends[2];

/* What becomes of the audio between the ends (line.c). */
extern uint64_t line_now;                               /* the virtual time, in samples */
void line_delay(int milliseconds);
void line_noise(char *options);                         /* level=-20,seed=1,towards=B,after=CFR,from=1.5,until=3 */
void line_block(bool connected);                        /* one BLOCK of time */
void line_call_begins(void);
void line_frame(const char *name);                      /* a T.30 frame was heard: noise may depend on it */

/* What is heard of T.30 on the line (monitor.c). */
void monitor_begin(void);
void monitor_block(int from, const int16_t *audio);

/* The exchange (exchange.c). */
void exchange_step(void);
void exchange_frame(const char *name);                  /* a T.30 frame was heard: the line may be cut by it */
void exchange_cut(char *options);                       /* after=CFR,nth=2,seconds=1.5,how=silence */
void exchange_cut_now(bool silently);
void exchange_refuse(const char *how, int calls);       /* busy, no-answer, no-dialtone */
bool exchange_idle(void);
bool exchange_connected(void);
bool exchange_rings_at(const struct end *callee);
int exchange_calls(void);                               /* calls that are over, refused ones too */

/* A modem (modem.c). */
void modem_open(struct end *end);
void modem_take(struct end *end);                       /* what the host has written, as far as there is room for it */
enum turn modem_turn(const struct end *end);
bool modem_on_hook(const struct end *end);
void modem_event(struct end *end, int event);           /* AT_CALL_EVENT_... */
void modem_rings(struct end *end, int ring, const char *from, const char *to);
void modem_hangs_up(struct end *end);
int modem_transmit(struct end *end, int16_t *audio, int samples);
void modem_receive(struct end *end, int16_t *audio, int samples);

/* A fax machine (machine.c). */
void machine_begins(struct end *end, bool calling);
void machine_ends(struct end *end);
bool machine_has_finished(const struct end *end);
int machine_transmit(struct end *end, int16_t *audio, int samples);
void machine_receive(struct end *end, int16_t *audio, int samples);

/* How fast time goes (pace.c). */
struct pace {
    double factor;              /* no faster than this many times real time; 0: as fast as it can */
    double think;               /* the same while it is a host's turn */
    int tick;                   /* milliseconds of virtual time after which the caller's clock is asked to follow; 0: never */
};
extern struct pace pace;
bool pace_wait(enum turn turn);                         /* false: something has come, judge again before time goes on */
void pace_tick(void);                                   /* after each block */
void pace_command(const char *line);                    /* what standard input said */

/* Events on standard output, one JSON object a line (events.c). */
void event_begin(const char *name);
void event_text(const char *key, const char *value);
void event_number(const char *key, double value);
void event_end(void);
void event_of(const char *name, const struct end *end); /* an event that needs no more than its end */
void fail(const char *why) __attribute__((noreturn));   /* of the box itself; status 3 */

/* The value of KEY in "key=value,key=value", to be freed, or NULL. */
char *option(const char *options, const char *key);
double option_number(const char *options, const char *key, double otherwise);

extern bool verbose;

#endif
