#ifndef PROTO_INET_H
#define PROTO_INET_H

/* Sizes and numbers of Ethernet, IP, TCP and UDP headers (RFC 894, 791, 8200, 9293, 768). */

#define ETHERNET_HEADER 14u /* without a tag */
#define ETHERTYPE_IPV4  0x0800u
#define ETHERTYPE_IPV6  0x86DDu

#define IPV4_HEADER_MIN 20u
#define IPV6_HEADER     40u
#define PROTOCOL_TCP    6u
#define PROTOCOL_UDP    17u

#define TCP_HEADER_MIN 20u
#define UDP_HEADER     8u

#endif
