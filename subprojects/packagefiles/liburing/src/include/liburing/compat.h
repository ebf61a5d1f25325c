/* What liburing's headers take from the kernel's, all of which Linux 5.10 has. */
#ifndef LIBURING_COMPAT_H
#define LIBURING_COMPAT_H

#include <linux/openat2.h>
#include <linux/time_types.h>

#endif
