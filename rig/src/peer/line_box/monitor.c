/*
 * Listens to both directions with a V.21 receiver each and tells every frame of T.30 (5.3): so it is known what was said on
 * the line whoever the ends are, and a line can be cut or disturbed by it.
 */
#include "box.h"

#include <stdio.h>

static fsk_rx_state_t *receivers[2];
static hdlc_rx_state_t *frames[2];

static const char *name_of(const uint8_t *frame)
{
    /* The last bit sent of a facsimile control field tells who speaks (T.30 5.3.6.1), not what is said. */
    const uint8_t field = frame[2];
    return t30_frametype(field == T30_DIS || field == T30_DTC || field == T30_CSI || field == T30_CIG || field == T30_NSF
                || field == T30_NSC ? field : field & 0xfe);
}

static void heard(void *user, const uint8_t *frame, int length, int good)
{
    const int from = (int)(intptr_t)user;
    if (frame == NULL || length < 3 || !good)
        return;
    const char letter[2] = {ends[from].name, '\0'};
    const char *name = name_of(frame);
    char hex[2 * 256 + 1] = "";
    for (int at = 0; at < length && at < 256; at++)
        snprintf(hex + 2 * at, 3, "%02x", frame[at]);
    event_begin("frame");
    event_text("from", letter);
    event_text("name", name);
    event_text("octets", hex);
    event_end();
    line_frame(name);
    exchange_frame(name);
}

void monitor_begin(void)
{
    for (int from = 0; from < 2; from++) {
        if (frames[from] != NULL)
            hdlc_rx_free(frames[from]);
        if (receivers[from] != NULL)
            fsk_rx_free(receivers[from]);
        frames[from] = hdlc_rx_init(NULL, FALSE, FALSE, 1, heard, (void *)(intptr_t)from);
        receivers[from] = fsk_rx_init(NULL, &preset_fsk_specs[FSK_V21CH2], FSK_FRAME_MODE_SYNC,
                                      (put_bit_func_t)hdlc_rx_put_bit, frames[from]);
    }
}

void monitor_block(int from, const int16_t *audio)
{
    fsk_rx(receivers[from], audio, BLOCK);
}
