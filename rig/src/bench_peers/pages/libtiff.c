/* The peer of `cargo rig bench pages`: libtiff, in memory, as a program would use it.
 *
 *   libtiff encode|decode mh|mr|mmr WIDTH HEIGHT ROWS TIFF SECONDS
 *
 * ROWS is a file of packed rows, 1 black; TIFF is written when encoding and read when decoding. Prints microseconds of
 * processor time for one page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tiffio.h>

struct memory {
    unsigned char *octets;
    toff_t length, room, at;
};

static void must(int well, const char *what) {
    if (!well) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static double cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static tsize_t take(thandle_t handle, void *to, tsize_t count) {
    struct memory *memory = handle;
    if (memory->at >= memory->length) return 0;
    if ((toff_t)count > memory->length - memory->at) count = (tsize_t)(memory->length - memory->at);
    memcpy(to, memory->octets + memory->at, (size_t)count);
    memory->at += (toff_t)count;
    return count;
}

static tsize_t give(thandle_t handle, void *from, tsize_t count) {
    struct memory *memory = handle;
    toff_t end = memory->at + (toff_t)count;
    if (end > memory->room) {
        memory->room = end * 2;
        memory->octets = realloc(memory->octets, (size_t)memory->room);
        must(memory->octets != NULL, "memory");
    }
    memcpy(memory->octets + memory->at, from, (size_t)count);
    memory->at = end;
    if (end > memory->length) memory->length = end;
    return count;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    struct memory *memory = handle;
    memory->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? memory->at + offset : memory->length + offset;
    return memory->at;
}

static int shut(thandle_t handle) { return handle == NULL; }
static toff_t size(thandle_t handle) { return ((struct memory *)handle)->length; }

static int map(thandle_t handle, void **base, toff_t *length) {
    struct memory *memory = handle;
    *base = memory->octets;
    *length = memory->length;
    return 1;
}

static void unmap(thandle_t handle, void *base, toff_t length) { (void)handle, (void)base, (void)length; }

static TIFF *open_memory(struct memory *memory, const char *mode) {
    memory->at = 0;
    TIFF *tiff = TIFFClientOpen("memory", mode, memory, take, give, seek, shut, size, map, unmap);
    must(tiff != NULL, "TIFFClientOpen");
    return tiff;
}

static void encode(struct memory *memory, const char *coding, unsigned width, unsigned height, unsigned char *rows, size_t length) {
    memory->length = 0;
    TIFF *tiff = open_memory(memory, "w");
    int group4 = strcmp(coding, "mmr") == 0;
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, group4 ? COMPRESSION_CCITTFAX4 : COMPRESSION_CCITTFAX3);
    if (strcmp(coding, "mr") == 0) TIFFSetField(tiff, TIFFTAG_GROUP3OPTIONS, GROUP3OPT_2DENCODING);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
    TIFFSetField(tiff, TIFFTAG_FILLORDER, FILLORDER_MSB2LSB);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, height);
    TIFFSetField(tiff, TIFFTAG_XRESOLUTION, 204.0);
    TIFFSetField(tiff, TIFFTAG_YRESOLUTION, 196.0);
    TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
    must(TIFFWriteEncodedStrip(tiff, 0, rows, (tmsize_t)length) == (tmsize_t)length, "TIFFWriteEncodedStrip");
    TIFFClose(tiff);
}

static void decode(struct memory *memory, unsigned char *rows, size_t length) {
    TIFF *tiff = open_memory(memory, "r");
    must(TIFFReadEncodedStrip(tiff, 0, rows, (tmsize_t)length) == (tmsize_t)length, "TIFFReadEncodedStrip");
    TIFFClose(tiff);
}

static unsigned char *whole(const char *path, size_t *length) {
    FILE *in = fopen(path, "rb");
    must(in != NULL, path);
    fseek(in, 0, SEEK_END);
    *length = (size_t)ftell(in);
    rewind(in);
    unsigned char *octets = malloc(*length);
    must(octets != NULL && fread(octets, 1, *length, in) == *length, path);
    fclose(in);
    return octets;
}

int main(int count, char **words) {
    if (count != 8) {
        fprintf(stderr, "libtiff encode|decode mh|mr|mmr WIDTH HEIGHT ROWS TIFF SECONDS\n");
        return 2;
    }
    int encoding = strcmp(words[1], "encode") == 0;
    unsigned width = (unsigned)atoi(words[3]), height = (unsigned)atoi(words[4]);
    size_t length, file_length;
    unsigned char *rows = whole(words[5], &length);
    must(length == (size_t)((width + 7) / 8) * height, "the rows' length");
    struct memory memory = {0};
    unsigned char *out = malloc(length);
    if (!encoding) {
        memory.octets = whole(words[6], &file_length);
        memory.length = memory.room = file_length;
    }
    double seconds = atof(words[7]), begin = cpu();
    unsigned long done = 0;
    while (cpu() - begin < seconds || done == 0) {
        if (encoding) encode(&memory, words[2], width, height, rows, length);
        else decode(&memory, out, length);
        done++;
    }
    printf("%.3f\n", (cpu() - begin) * 1e6 / (double)done);
    if (encoding) {
        FILE *file = fopen(words[6], "wb");
        must(file != NULL && fwrite(memory.octets, 1, (size_t)memory.length, file) == (size_t)memory.length, words[6]);
        fclose(file);
    } else {
        must(memcmp(rows, out, length) == 0, "the comparison of the pixels");
    }
    return 0;
}
