/* An end that is a whole fax machine: libspandsp's, with TIFF files for its pages. */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void finished(t30_state_t *t30, void *user, int result)
{
    struct end *end = user;
    const char letter[2] = {end->name, '\0'};
    t30_stats_t statistics;
    t30_get_transfer_statistics(t30, &statistics);
    const char *remote = t30_get_rx_ident(t30);
    const char *subaddress = t30_get_rx_sub_address(t30);
    event_begin("result");
    event_text("end", letter);
    event_number("result", result);
    event_text("text", t30_completion_code_to_str(result));
    event_number("rate", statistics.bit_rate);
    event_number("ecm", statistics.error_correcting_mode);
    event_number("ecm_retries", statistics.error_correcting_mode_retries);
    event_number("sent", statistics.pages_tx);
    event_number("received", statistics.pages_rx);
    event_text("coding", t4_encoding_to_str(statistics.encoding));
    event_number("bad_rows", statistics.bad_rows);
    event_text("remote", remote != NULL ? remote : "");
    event_text("subaddress", subaddress != NULL ? subaddress : "");
    event_end();
    end->machine.done = true;
}

static int modems_of(const char *names)
{
    return (strstr(names, "v27") ? T30_SUPPORT_V27TER : 0) | (strstr(names, "v29") ? T30_SUPPORT_V29 : 0)
         | (strstr(names, "v17") ? T30_SUPPORT_V17 : 0);
}

static int codings_of(const char *names)
{
    return (strstr(names, "mh") ? T30_SUPPORT_T4_1D_COMPRESSION : 0) | (strstr(names, "mr") ? T30_SUPPORT_T4_2D_COMPRESSION : 0)
         | (strstr(names, "t6") ? T30_SUPPORT_T6_COMPRESSION : 0);
}

void machine_begins(struct end *end, bool calling)
{
    struct machine *machine = &end->machine;
    machine_ends(end);
    machine->calls++;
    machine->done = false;
    machine->fax = fax_init(NULL, calling);
    if (machine->fax == NULL)
        fail("no fax machine");
    /* Silence is sent between signals: the line carries audio all the time. */
    fax_set_transmit_on_idle(machine->fax, TRUE);
    t30_state_t *t30 = fax_get_t30_state(machine->fax);
    t30_set_tx_ident(t30, machine->ident);
    if (machine->subaddress != NULL)
        t30_set_tx_sub_address(t30, machine->subaddress);
    if (machine->pages_in != NULL) {
        char file[4096];
        if (machine->calls == 1)
            snprintf(file, sizeof file, "%s", machine->pages_in);
        else
            snprintf(file, sizeof file, "%s.%d", machine->pages_in, machine->calls);
        t30_set_rx_file(t30, file, -1);
    }
    if (machine->pages_out != NULL)
        t30_set_tx_file(t30, machine->pages_out, -1, -1);
    t30_set_supported_modems(t30, modems_of(machine->modems));
    t30_set_supported_compressions(t30, codings_of(machine->codings));
    t30_set_supported_resolutions(t30, T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION
                                           | T30_SUPPORT_SUPERFINE_RESOLUTION | T30_SUPPORT_R8_RESOLUTION
                                           | T30_SUPPORT_R16_RESOLUTION);
    t30_set_supported_image_sizes(t30, T30_SUPPORT_US_LETTER_LENGTH | T30_SUPPORT_US_LEGAL_LENGTH | T30_SUPPORT_A4_LENGTH
                                           | T30_SUPPORT_B4_LENGTH | T30_SUPPORT_UNLIMITED_LENGTH | T30_SUPPORT_215MM_WIDTH
                                           | T30_SUPPORT_255MM_WIDTH | T30_SUPPORT_303MM_WIDTH);
    t30_set_ecm_capability(t30, machine->ecm);
    t30_set_minimum_scan_line_time(t30, machine->scan_ms);
    t30_set_phase_e_handler(t30, finished, end);
    if (verbose) {
        logging_state_t *log = t30_get_logging_state(t30);
        const char letter[2] = {end->name, '\0'};
        span_log_set_level(log, SPAN_LOG_SHOW_PROTOCOL | SPAN_LOG_FLOW);
        span_log_set_tag(log, letter);
    }
}

void machine_ends(struct end *end)
{
    struct machine *machine = &end->machine;
    if (machine->fax == NULL)
        return;
    /* Files are closed by this, and a call that was broken off has a result. */
    if (!machine->done)
        t30_terminate(fax_get_t30_state(machine->fax));
    fax_free(machine->fax);
    machine->fax = NULL;
}

bool machine_has_finished(const struct end *end)
{
    const struct machine *machine = &end->machine;
    /* Phase E is reached before the last frame has left: the call ends when that is on the line. */
    return machine->fax != NULL && machine->done && !t30_call_active(fax_get_t30_state(machine->fax));
}

int machine_transmit(struct end *end, int16_t *audio, int samples)
{
    return end->machine.fax != NULL ? fax_tx(end->machine.fax, audio, samples) : 0;
}

void machine_receive(struct end *end, int16_t *audio, int samples)
{
    if (end->machine.fax != NULL)
        fax_rx(end->machine.fax, audio, samples);
}
