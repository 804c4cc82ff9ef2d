// The XDP program of af_xdp ports: UDP datagrams to the node's port go to the AF_XDP socket of the queue they
// came in on; every other frame goes on to the kernel, which keeps its ARP, its ping and its own sockets.
//
// The node checks each datagram again (dataplane/frame.cpp): this program only sorts. What it does not
// understand at a glance (a second VLAN tag, IP fragments, IPv6 extension headers) stays with the kernel.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// By queue number. The name is the one that net_af_xdp looks for when it puts its sockets in.
struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 64);  // queues of one interface: more than a node has poll cores
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

// Host order; set by steering.cpp once the program is loaded, hence not const and in a section (that is, a
// map) of its own.
volatile __u16 steered_port SEC(".data.port") = 4646;

struct vlan_header {
  __be16 tci;
  __be16 type;
};

#define IP_MORE_OR_OFFSET 0x3fff  // "more fragments" and the 13 bits of the fragment offset

static __always_inline void *udp_of_ipv4(void *at, void *end) {
  struct iphdr *ip = at;
  if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return NULL;
  if (ip->protocol != IPPROTO_UDP || (ip->frag_off & bpf_htons(IP_MORE_OR_OFFSET)) != 0) return NULL;
  return at + ip->ihl * 4;
}

static __always_inline void *udp_of_ipv6(void *at, void *end) {
  struct ipv6hdr *ip = at;
  if ((void *)(ip + 1) > end || ip->version != 6 || ip->nexthdr != IPPROTO_UDP) return NULL;
  return ip + 1;
}

SEC("xdp")
int pgrid_steer(struct xdp_md *context) {
  void *at = (void *)(long)context->data;
  void *end = (void *)(long)context->data_end;

  const struct ethhdr *ethernet = at;
  if ((void *)(ethernet + 1) > end) return XDP_PASS;
  __be16 type = ethernet->h_proto;
  at = (void *)(ethernet + 1);
  if (type == bpf_htons(ETH_P_8021Q)) {
    const struct vlan_header *vlan = at;
    if ((void *)(vlan + 1) > end) return XDP_PASS;
    type = vlan->type;
    at = (void *)(vlan + 1);
  }

  const struct udphdr *udp = NULL;
  if (type == bpf_htons(ETH_P_IP))
    udp = udp_of_ipv4(at, end);
  else if (type == bpf_htons(ETH_P_IPV6))
    udp = udp_of_ipv6(at, end);
  if (udp == NULL || (void *)(udp + 1) > end || udp->dest != bpf_htons(steered_port)) return XDP_PASS;

  // A queue without a socket of ours: XDP_PASS.
  return bpf_redirect_map(&xsks_map, context->rx_queue_index, XDP_PASS);
}

char program_license[] SEC("license") = "Apache-2.0";
