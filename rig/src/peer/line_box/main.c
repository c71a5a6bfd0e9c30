/*
 * line-box [OPTIONS] END END
 *
 *   END      modem[:KEY=VALUE,...]     a Class 1 modem; the event "modem" says at which port
 *              number=N                its telephone number
 *              caller=1                NMBR= and NDID= come with the first RING
 *            machine[:KEY=VALUE,...]   a fax machine
 *              in=FILE.tif out=FILE.tif number=N ident=TEXT sub=SUBADDRESS ecm=1 modems=v27+v29+v17 codings=mh+mr+t6
 *              scan=MS                 least time of a scan line
 *              rings=N                 answers at this ring
 *              dials=SECONDS to=N      calls by itself at this virtual time
 *   OPTIONS  --delay=MS                of the line, one way; 40
 *            --noise=level=DBM0,seed=N,towards=A|B,after=FRAME,from=S,until=S    again for more of it
 *            --cut=after=FRAME,nth=N,seconds=S,how=silence|hangup    FRAME as T.30 names it; without it after the answer
 *            --refuse=busy|no-answer|no-dialtone --refuse-calls=N
 *            --factor=F --think=F      times real time: at most, and while it is a host's turn; 0 and 1
 *            --tick=MS                 "tick" on standard output after so much virtual time, "go" is waited for
 *            --calls=N                 ends after so many
 *            --verbose                 libspandsp's log on standard error
 *
 * Standard input: "dial END NUMBER [FILE.tif]" (a machine), "cut silence", "cut hangup", "go"; its end ends the box.
 */
#include "box.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct end ends[2];
bool verbose;

static const char *option_or(const char *options, const char *key, const char *otherwise)
{
    const char *value = option(options, key);
    return value != NULL ? value : otherwise;
}

static void end_from(int place, const char *text)
{
    struct end *end = &ends[place];
    const char *colon = strchr(text, ':');
    const char *options = colon != NULL ? colon + 1 : "";
    end->name = place == 0 ? 'A' : 'B';
    end->peer = &ends[1 - place];
    end->number = option_or(options, "number", place == 0 ? "100" : "200");
    end->rings = (int)option_number(options, "rings", 1);
    if (strncmp(text, "modem", 5) == 0) {
        end->kind = MODEM;
        end->modem.tells_caller = option_number(options, "caller", 0) != 0;
        modem_open(end);
        return;
    }
    if (strncmp(text, "machine", 7) != 0)
        fail("an end is a modem or a machine");
    struct machine *machine = &end->machine;
    end->kind = MACHINE;
    machine->pages_in = option(options, "in");
    machine->pages_out = option(options, "out");
    machine->ident = option_or(options, "ident", end->number);
    machine->subaddress = option(options, "sub");
    machine->modems = option_or(options, "modems", "v27+v29+v17");
    machine->codings = option_or(options, "codings", "mh+mr+t6");
    machine->ecm = option_number(options, "ecm", 1) != 0;
    machine->scan_ms = (int)option_number(options, "scan", 0);
    machine->dials_at = option_number(options, "dials", -1);
    snprintf(end->dials, sizeof end->dials, "%s", option_or(options, "to", end->peer->number != NULL ? end->peer->number : "200"));
}

void pace_command(const char *line)
{
    char letter, number[NUMBER], file[4000] = "";
    if (strcmp(line, "cut silence") == 0 || strcmp(line, "cut hangup") == 0) {
        exchange_cut_now(line[4] == 's');
    } else if (sscanf(line, "dial %c %63s %3999[^\n]", &letter, number, file) >= 2 && (letter == 'A' || letter == 'B')) {
        struct end *end = &ends[letter - 'A'];
        if (end->kind != MACHINE)
            return;
        memcpy(end->dials, number, sizeof number);
        if (file[0] != '\0') {
            free(end->machine.pages_out);
            end->machine.pages_out = strdup(file);
        }
        end->wants_call = true;
    } else {
        fprintf(stderr, "line box: not understood: %s\n", line);
    }
}

static int usage(const char *what)
{
    fprintf(stderr, "line box: not understood: %s\n", what);
    return 2;
}

int main(int count, char **arguments)
{
    int at = 1, last_call = 0, refuse_calls = 1 << 30;
    const char *refuse = NULL;
    for (; at < count && strncmp(arguments[at], "--", 2) == 0; at++) {
        char *name = arguments[at] + 2, *value = name;
        strsep(&value, "=");
        if (strcmp(name, "verbose") == 0)
            verbose = true;
        else if (value == NULL)
            return usage(name);
        else if (strcmp(name, "delay") == 0)
            line_delay(atoi(value));
        else if (strcmp(name, "noise") == 0)
            line_noise(value);
        else if (strcmp(name, "cut") == 0)
            exchange_cut(value);
        else if (strcmp(name, "refuse") == 0)
            refuse = value;
        else if (strcmp(name, "refuse-calls") == 0)
            refuse_calls = atoi(value);
        else if (strcmp(name, "factor") == 0)
            pace.factor = atof(value);
        else if (strcmp(name, "think") == 0)
            pace.think = atof(value);
        else if (strcmp(name, "tick") == 0)
            pace.tick = atoi(value);
        else if (strcmp(name, "calls") == 0)
            last_call = atoi(value);
        else
            return usage(name);
    }
    if (count - at != 2)
        return usage("there are two ends");
    if (refuse != NULL)
        exchange_refuse(refuse, refuse_calls);
    signal(SIGPIPE, SIG_IGN);
    TIFFSetWarningHandler(NULL);
    end_from(0, arguments[at]);
    end_from(1, arguments[at + 1]);
    event_begin("ready");
    event_end();
    const bool hosts = ends[0].kind == MODEM || ends[1].kind == MODEM;
    while (last_call == 0 || exchange_calls() < last_call || !exchange_idle()) {
        enum turn turn = FREE;
        exchange_step();
        for (int number = 0; number < 2; number++)
            if (ends[number].kind == MODEM)
                modem_take(&ends[number]);
        exchange_step();
        for (int number = 0; number < 2; number++) {
            const enum turn its = ends[number].kind == MODEM ? modem_turn(&ends[number]) : FREE;
            turn = its > turn ? its : turn;
        }
        /* Nobody waits for a line on which there is no call. */
        if (turn == FREE && exchange_idle() && hosts)
            turn = HOST;
        if (!pace_wait(turn))
            continue;
        line_block(exchange_connected());
        pace_tick();
    }
    for (int number = 0; number < 2; number++)
        if (ends[number].kind == MACHINE)
            machine_ends(&ends[number]);
    event_begin("end");
    event_end();
    return 0;
}
