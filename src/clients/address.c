#include "clients/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define PORT_DISCARD 9

struct net {
	uint32_t first; /* the first 32 bits of its addresses */
	int bits;
};

#define NET4(a, b, c, d, bits) {(uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d), bits},
#define NET6(a, b, bits)
static const struct net nets4[] = {
#include "clients/nets.def"
};
#undef NET4
#undef NET6
#define NET4(a, b, c, d, bits)
#define NET6(a, b, bits) {(uint32_t)(a) << 16 | (uint32_t)(b), bits},
static const struct net nets6[] = {
#include "clients/nets.def"
};
#undef NET4
#undef NET6
static const struct net internet6 = {UINT32_C(0x20000000), 3};

static bool holds(const struct net *net, uint32_t address)
{
	return (address ^ net->first) >> (32 - net->bits) == 0;
}

static bool in_any(const struct net *nets, size_t count, uint32_t address)
{
	for (size_t i = 0; i < count; i++)
		if (holds(&nets[i], address))
			return true;
	return false;
}

bool address_is_public(const struct sockaddr *address)
{
	uint32_t first;

	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, address, sizeof(in));
		return !in_any(nets4, sizeof(nets4) / sizeof(nets4[0]), ntohl(in.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, address, sizeof(in6));
		memcpy(&first, in6.sin6_addr.s6_addr, sizeof(first));
		first = ntohl(first);
		return holds(&internet6, first) && !in_any(nets6, sizeof(nets6) / sizeof(nets6[0]), first);
	}
	return false;
}

/* True if the system would send to the address from the same address.  Nothing is sent. */
static bool is_own(const struct sockaddr *address)
{
	struct sockaddr_storage to = {0}, from = {0};
	const bool is4 = address->sa_family == AF_INET;
	socklen_t length = is4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	const int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own = false;

	if (fd < 0)
		return true;
	memcpy(&to, address, length);
	if (is4)
		((struct sockaddr_in *)&to)->sin_port = htons(PORT_DISCARD);
	else
		((struct sockaddr_in6 *)&to)->sin6_port = htons(PORT_DISCARD);
	if (connect(fd, (const struct sockaddr *)&to, length) == 0 &&
	    getsockname(fd, (struct sockaddr *)&from, &length) == 0)
		own = is4 ? ((struct sockaddr_in *)&from)->sin_addr.s_addr ==
		                      ((struct sockaddr_in *)&to)->sin_addr.s_addr
		          : memcmp(&((struct sockaddr_in6 *)&from)->sin6_addr, &((struct sockaddr_in6 *)&to)->sin6_addr,
		                   sizeof(struct in6_addr)) == 0;
	(void)close(fd);
	return own;
}

bool address_is_outside(const struct sockaddr *address)
{
	return address_is_public(address) && !is_own(address);
}
