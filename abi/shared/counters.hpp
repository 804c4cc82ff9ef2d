// Every reason a packet or message can end, each with a counter per poll core. There is no other way to drop.
//
// The books balance (tests and `pgrid stat` check it):
//   rx_packets + control_requests + guest_requests
//       = all `drop` + all `local` + all `punt` + all `refusal` + dispatched
//   dispatched = all `outcome` + in flight
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgrid::abi {

enum class CounterClass : std::uint8_t {
  source,   // something came in
  drop,     // ended without an answer
  local,    // the node's own ARP, NDP and echo
  punt,     // handed to control
  refusal,  // ended with a non-commitment, before a function saw it
  total,    // a sum kept for the books
  outcome,  // of what was dispatched
  detail,   // says more about something counted above, or about sending
};

// X(name, class, what it means and, after a semicolon, what to do)
#define PGRID_COUNTERS(X)                                                                                            \
  X(rx_packets, source, "frames received from ports")                                                                \
  X(control_requests, source, "messages that control asked to send (pgrid invoke)")                                  \
  X(guest_requests, source, "messages that functions asked to send")                                                 \
  /* Ethernet, IP, UDP */                                                                                            \
  X(frame_truncated, drop, "shorter than its headers say; look for a broken sender or MTU")                          \
  X(frame_not_for_us, drop, "unicast to another MAC address; the switch floods or the port is promiscuous")          \
  X(vlan_nested, drop, "more than one VLAN tag; the node takes one")                                                 \
  X(ethertype_unknown, drop, "neither IPv4, IPv6 nor ARP; harmless")                                                 \
  X(ip_malformed, drop, "IP version, header length or total length is wrong")                                        \
  X(ip_checksum_bad, drop, "IPv4 header checksum is wrong; look for a bad cable or NIC")                             \
  X(ip_not_for_us, drop, "another destination address; check `addresses` of the port in node.toml")                  \
  X(ip_fragment, drop, "an IP fragment; senders must keep UDP payloads at 1,232 bytes or less")                      \
  X(ip_protocol_unknown, drop, "not UDP, ICMP or ICMPv6, or an IPv6 extension header; harmless")                     \
  X(source_invalid, drop, "source address or UDP port that nobody can be answered at: multicast, zero, our own")     \
  X(udp_malformed, drop, "UDP length does not fit the IP length")                                                    \
  X(udp_port_closed, drop, "UDP to a port the node does not serve; harmless")                                        \
  X(udp_checksum_missing, drop, "UDP checksum is zero; the protocol requires one")                                   \
  X(udp_checksum_bad, drop, "UDP checksum is wrong; on veth and tap turn off the sender's checksum offload")         \
  X(icmp_ignored, drop, "ICMP, ICMPv6, ARP or NDP that needs no answer, or a bad one; harmless")                     \
  /* envelope */                                                                                                     \
  X(payload_too_long, drop, "more than 1,232 bytes of UDP payload")                                                  \
  X(envelope_truncated, drop, "ends within the envelope")                                                            \
  X(envelope_not_grid, drop, "does not begin with the grid tag (CBOR tag 1735551332)")                               \
  X(envelope_malformed, drop, "not [42(pCID), byte string]")                                                         \
  X(envelope_not_shortest, drop, "a CBOR length that is not in its shortest form")                                   \
  X(envelope_length, drop, "the byte string does not end where the datagram ends")                                   \
  X(envelope_padding, drop, "the pad byte before the FlatBuffer is missing or not zero")                             \
  X(message_size, drop, "FlatBuffer length not a multiple of 4, or not 24 to 1,180 bytes")                           \
  X(message_malformed, drop, "FlatBuffer whose offsets do not lie where they must")                                  \
  X(message_kind_unknown, drop, "a kind that message-1 does not define")                                             \
  X(message_right_missing, drop, "a request without `to`")                                                           \
  X(message_rights_too_many, drop, "more than four carried rights")                                                  \
  X(answer_unexpected, drop, "an answer, non-commitment or notice for a right that is not waiting")                  \
  X(punt_limited, drop, "promise-protocol datagrams beyond the rate that control takes")                             \
  X(punt_ring_full, drop, "promise-protocol datagrams while control is away or slow")                                \
  /* own protocols */                                                                                                \
  X(arp_answered, local, "ARP requests answered")                                                                    \
  X(ndp_answered, local, "IPv6 neighbour solicitations answered")                                                    \
  X(echo_answered, local, "pings answered, IPv4 and IPv6")                                                           \
  X(punted, punt, "promise-protocol datagrams handed to control")                                                    \
  /* refusals before authorization: rate-limited per source prefix */                                                \
  X(unknown_protocol, refusal, "a pCID this node does not know")                                                     \
  X(right_unknown, refusal, "no_such_right: slot outside the table or never used")                                   \
  X(right_wrong_key, refusal, "no_such_right: the key is wrong; somebody guesses, or uses an old state")             \
  X(right_old_generation, refusal, "no_such_right: the slot has been reused since")                                  \
  X(right_expired, refusal, "no_such_right: past its expiry; create a new one")                                      \
  X(right_revoked, refusal, "no_such_right: revoked")                                                                \
  /* refusals after authorization */                                                                                 \
  X(right_being_written, refusal, "busy: control was writing the right; if it grows, restart control")               \
  X(not_permitted, refusal, "the right does not allow sending")                                                      \
  X(quota_exceeded, refusal, "the right's rate; raise --rate or slow the sender")                                    \
  X(too_large, refusal, "body longer than the right allows")                                                         \
  X(handle_unknown, refusal, "no_such_right: a function sent through a handle that it does not hold (any more)")     \
  X(hop_limit, refusal, "not_permitted: passed on by 8 functions already; look for functions that call in a circle") \
  X(carried_rights_refused, refusal, "not_permitted: a datagram carries rights, which only functions of a node can")   \
  X(carried_unknown, refusal, "no_such_right: a function passed on a right that is dead, or that it does not hold")    \
  X(carried_not_permitted, refusal, "not_permitted: a function passed on a right that may not be passed on")           \
  X(busy_right, refusal, "busy: the right has its maximum in flight")                                                \
  X(busy_in_flight, refusal, "busy: the poll core's in-flight table is full; raise limits.in_flight")                \
  X(busy_ring, refusal, "busy: the worker's request ring is full; the function is too slow, add a worker")           \
  X(busy_worker, refusal, "busy: the worker is starting or restarting; see pgrid ls")                                \
  X(busy_draining, refusal, "busy: the node is stopping")                                                            \
  X(busy_handles, refusal, "busy: the receiver has no handle free for a right that was passed on; it should drop some") \
  X(busy_control, refusal, "busy: a function asked control, which is away or slow")                                  \
  /* what became of dispatched messages */                                                                           \
  X(dispatched, total, "messages handed to workers")                                                                 \
  X(answered, outcome, "answers: promises kept")                                                                     \
  X(declined, outcome, "the function said no")                                                                       \
  X(broken, outcome, "trap, limit, or never read; see pgrid logs")                                                   \
  X(no_answer, outcome, "deadline passed; the function is slow or does not answer")                                  \
  X(process_failed, outcome, "the worker process or instance died with the message in hand")                         \
  X(busy_mailbox, outcome, "busy: its mailbox was full, or the process restarts too often: see pgrid ls")            \
  X(answer_refused, outcome, "the function's answer carried rights that its asker could not be given")               \
  /* sending, and more about the above */                                                                            \
  X(tx_packets, detail, "frames sent to ports")                                                                      \
  X(tx_full, detail, "answers lost because the port took no more; senders see no answer")                            \
  X(mbuf_exhausted, detail, "answers lost because no mbuf was left; raise limits")                                   \
  X(refusals_suppressed, detail, "refusals not sent: the source prefix had its share, or the request was shorter")   \
  X(late_reply, detail, "answers from a worker for a message that was answered already")                             \
  X(reply_malformed, detail, "records from a worker that make no sense: the worker is replaced")                     \
  X(control_event_lost, detail, "log lines or events lost: control is away or slow, or a function floods its log")   \
  X(control_answer_lost, detail, "answers to pgrid invoke lost because control was away or slow")                    \
  X(misaligned_copied, detail, "datagrams copied because they did not lie on a multiple of 4")                       \
  X(worker_ring_corrupt, detail, "a worker's own index in a ring that makes no sense: the worker is replaced")       \
  X(guest_answers, detail, "answers and refusals handed to functions that had asked")                                \
  X(guest_answers_lost, detail, "answers for functions that were restarted or removed meanwhile")                    \
  X(rights_carried, detail, "rights that messages brought to functions and control")                                 \
  X(notices, detail, "notices of control for functions: rights that died, rights that were granted")                 \
  X(notices_lost, detail, "notices for a process that is gone, or whose worker takes no more")                       \
  X(control_answer_late, detail, "control's answers to functions that did not wait for them any more")               \
  X(undelivered_lost, detail, "rights that control gave and will take back late, because it was away or slow")       \
  X(worker_deaths, detail, "worker processes that died or were replaced")

enum class Counter : std::uint16_t {
#define PGRID_COUNTER_NAME(name, class_, help) name,
  PGRID_COUNTERS(PGRID_COUNTER_NAME)
#undef PGRID_COUNTER_NAME
};

struct CounterInfo {
  std::string_view name;
  CounterClass class_;
  std::string_view help;
};

inline constexpr CounterInfo kCounterInfo[] = {
#define PGRID_COUNTER_INFO(name, class_, help) {#name, CounterClass::class_, help},
    PGRID_COUNTERS(PGRID_COUNTER_INFO)
#undef PGRID_COUNTER_INFO
};
inline constexpr std::size_t kCounterCount = sizeof kCounterInfo / sizeof kCounterInfo[0];

constexpr std::string_view name_of(Counter counter) { return kCounterInfo[static_cast<std::size_t>(counter)].name; }
constexpr std::string_view name_of(CounterClass c) {
  constexpr std::string_view names[] = {"source", "drop", "local", "punt", "refusal", "total", "outcome", "detail"};
  return names[static_cast<std::size_t>(c)];
}

}  // namespace pgrid::abi
