/* What happens in the box, told on standard output: one JSON object a line, "at" in virtual seconds. */
#include "box.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text(const char *value)
{
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)value; *at != '\0'; at++) {
        /* Identifications and numbers come from strangers: whatever is not plain is escaped. */
        if (*at < 0x20 || *at > 0x7e || *at == '"' || *at == '\\')
            printf("\\u%04x", *at);
        else
            putchar(*at);
    }
    putchar('"');
}

void event_begin(const char *name)
{
    printf("{\"at\":%.3f,\"event\":", (double)line_now / RATE);
    text(name);
}

void event_text(const char *key, const char *value)
{
    printf(",\"%s\":", key);
    text(value);
}

void event_number(const char *key, double value)
{
    printf(",\"%s\":%.10g", key, value);
}

void event_end(void)
{
    puts("}");
    fflush(stdout);
}

void event_of(const char *name, const struct end *end)
{
    const char letter[2] = {end->name, '\0'};
    event_begin(name);
    event_text("end", letter);
    event_end();
}

void fail(const char *why)
{
    fprintf(stderr, "line box: %s: %s\n", why, strerror(errno));
    exit(3);
}

char *option(const char *options, const char *key)
{
    const size_t length = strlen(key);
    for (const char *at = options; at != NULL && *at != '\0';) {
        const char *comma = strchr(at, ',');
        const size_t whole = comma != NULL ? (size_t)(comma - at) : strlen(at);
        if (whole > length && strncmp(at, key, length) == 0 && at[length] == '=')
            return strndup(at + length + 1, whole - length - 1);
        at = comma != NULL ? comma + 1 : NULL;
    }
    return NULL;
}

double option_number(const char *options, const char *key, double otherwise)
{
    char *value = option(options, key);
    const double number = value != NULL ? atof(value) : otherwise;
    free(value);
    return number;
}
