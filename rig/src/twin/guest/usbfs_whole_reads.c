/* Preloaded into pcscd inside the twin, and nowhere else.

   libusb splits a bulk read into several requests where the kernel offers to continue them, and takes back those that are
   left over after a short answer. The USB controller that QEMU gives the Raspberry Pi sometimes loses the answer that
   follows such a withdrawal: one in a few hundred. A kernel that does not offer it is read from in one request. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/types.h>
#include <linux/ioctl.h>
#include <linux/usbdevice_fs.h>
#include <stdarg.h>
#include <stddef.h>

typedef int ioctl_function(int, unsigned long, ...);

int ioctl(int file, unsigned long request, ...)
{
	static ioctl_function *kernel;
	va_list arguments;
	void *argument;
	int result;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (kernel == NULL)
		kernel = (ioctl_function *)dlsym(RTLD_NEXT, "ioctl");
	result = kernel(file, request, argument);
	if (request == USBDEVFS_GET_CAPABILITIES && result >= 0) {
		__u32 *capabilities = argument;

		*capabilities &= ~(__u32)USBDEVFS_CAP_BULK_CONTINUATION;
		*capabilities |= USBDEVFS_CAP_NO_PACKET_SIZE_LIM;
	}
	return result;
}
