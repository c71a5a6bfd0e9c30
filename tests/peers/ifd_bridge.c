/*
 * An IFD handler for pcscd that does nothing itself: every call is put to a test over a Unix socket, and the test's
 * answer is the reader's. So a test can be any reader: one with keys (PC/SC part 10), one that is unplugged, a T=0 card.
 *
 * DEVICENAME is "bridge:SOCKET". A call is one octet of kind and a length of four octets, high one first, with so many
 * octets after it; an answer is a return code of four octets, a length of four, and the octets.
 *
 * For tests only. Built by the test with cc; needs libpcsclite-dev for ifdhandler.h.
 */
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <wintypes.h>
#include <ifdhandler.h>

static pthread_mutex_t one_call = PTHREAD_MUTEX_INITIALIZER;
static int line = -1;

static int all(int (*step)(unsigned char *, size_t), unsigned char *octets, size_t length)
{
	while (length > 0) {
		int moved = step(octets, length);
		if (moved <= 0)
			return 0;
		octets += moved;
		length -= (size_t)moved;
	}
	return 1;
}

static int out(unsigned char *octets, size_t length)
{
	return (int)send(line, octets, length, MSG_NOSIGNAL);
}

static int in(unsigned char *octets, size_t length)
{
	return (int)read(line, octets, length);
}

static void put(unsigned char *at, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(number >> (24 - 8 * i));
}

static uint32_t get(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* One call with a number and octets; the answer's octets go to `answer`, and their count to `*room`. */
static RESPONSECODE ask(char kind, uint32_t number, const unsigned char *octets, size_t length, unsigned char *answer,
			DWORD *room)
{
	unsigned char head[9], tail[8];
	DWORD most = room ? *room : 0;
	RESPONSECODE code = IFD_COMMUNICATION_ERROR;

	if (room)
		*room = 0;
	pthread_mutex_lock(&one_call);
	head[0] = (unsigned char)kind;
	put(head + 1, (uint32_t)length + 4);
	put(head + 5, number);
	if (line >= 0 && all(out, head, sizeof head) && all(out, (unsigned char *)octets, length) &&
	    all(in, tail, sizeof tail)) {
		uint32_t said = get(tail + 4);
		if (said > most)
			code = IFD_ERROR_INSUFFICIENT_BUFFER;
		else if (said == 0 || all(in, answer, said)) {
			code = (RESPONSECODE)get(tail);
			if (room)
				*room = said;
		}
	}
	pthread_mutex_unlock(&one_call);
	return code;
}

RESPONSECODE IFDHCreateChannelByName(DWORD lun, LPSTR name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const char *path = strchr(name, ':');

	(void)lun;
	if (!path || strlen(path + 1) >= sizeof at.sun_path)
		return IFD_COMMUNICATION_ERROR;
	strcpy(at.sun_path, path + 1);
	if (line >= 0)
		close(line);
	line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (line < 0 || connect(line, (struct sockaddr *)&at, sizeof at) != 0)
		return IFD_COMMUNICATION_ERROR;
	/* Whether the reader is there at all. */
	return ask('P', 0, NULL, 0, NULL, NULL) == IFD_NO_SUCH_DEVICE ? IFD_NO_SUCH_DEVICE : IFD_SUCCESS;
}

RESPONSECODE IFDHCreateChannel(DWORD lun, DWORD channel)
{
	(void)lun;
	(void)channel;
	return IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHCloseChannel(DWORD lun)
{
	(void)lun;
	if (line >= 0)
		close(line);
	line = -1;
	return IFD_SUCCESS;
}

RESPONSECODE IFDHGetCapabilities(DWORD lun, DWORD tag, PDWORD length, PUCHAR value)
{
	(void)lun;
	switch (tag) {
	case TAG_IFD_SLOTS_NUMBER:
	case TAG_IFD_SIMULTANEOUS_ACCESS:
		if (*length < 1)
			return IFD_ERROR_INSUFFICIENT_BUFFER;
		value[0] = 1;
		*length = 1;
		return IFD_SUCCESS;
	default:
		return IFD_ERROR_TAG;
	}
}

RESPONSECODE IFDHSetCapabilities(DWORD lun, DWORD tag, DWORD length, PUCHAR value)
{
	(void)lun;
	(void)tag;
	(void)length;
	(void)value;
	return IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHSetProtocolParameters(DWORD lun, DWORD protocol, UCHAR flags, UCHAR pts1, UCHAR pts2, UCHAR pts3)
{
	(void)lun;
	(void)protocol;
	(void)flags;
	(void)pts1;
	(void)pts2;
	(void)pts3;
	return IFD_SUCCESS;
}

RESPONSECODE IFDHPowerICC(DWORD lun, DWORD action, PUCHAR atr, PDWORD length)
{
	(void)lun;
	return ask('O', (uint32_t)action, NULL, 0, atr, length);
}

RESPONSECODE IFDHTransmitToICC(DWORD lun, SCARD_IO_HEADER sent, PUCHAR command, DWORD command_length, PUCHAR answer,
			       PDWORD length, PSCARD_IO_HEADER received)
{
	(void)lun;
	received->Protocol = sent.Protocol;
	return ask('T', (uint32_t)sent.Protocol, command, command_length, answer, length);
}

RESPONSECODE IFDHControl(DWORD lun, DWORD code, PUCHAR input, DWORD input_length, PUCHAR answer, DWORD room,
			 LPDWORD length)
{
	RESPONSECODE result;

	(void)lun;
	result = ask('C', (uint32_t)code, input, input_length, answer, &room);
	*length = room;
	return result;
}

RESPONSECODE IFDHICCPresence(DWORD lun)
{
	(void)lun;
	return ask('P', 0, NULL, 0, NULL, NULL);
}
