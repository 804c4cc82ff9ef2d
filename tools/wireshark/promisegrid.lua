-- Wireshark dissector for message-1 and promise-1 (abi/wire/message-1.md, abi/wire/promise-1.md). README.md beside this file
-- says how to install and filter. Needs Wireshark 3.6 or newer.
--
-- How it is safe on any bytes: all decisions are made on a Lua string, where a read behind the end gives nil and every nil is
-- looked at; the tree is only given ranges that were read before. So there is nothing to catch, and nothing is caught.
--
-- A datagram that a node would drop is flagged with the name of the counter in which the node would count it
-- (docs/OPERATING.md, "Counters") and with the rule of the document that it breaks.

local pgrid = Proto("promisegrid", "PromiseGrid")

-- The documents' CIDs: 01 55 12 20, then SHA-256 of the document. tests/tools/wireshark_test.py compares them.
local PROTOCOLS = {
  ["01551220a570862b5f13eefd52d7a9a40f10a0f206e61674f8c2af0bb4d531c44b2cffc2"] = "message-1",
  ["01551220bad3a0ad3682c81250d01a8a8b67765ebffc71687c55ac37e035ca750ecc8592"] = "promise-1",
}
local PAYLOAD_MAX, CONTENT_MIN, CONTENT_MAX, BODY_MAX, RIGHTS_MAX = 1232, 24, 1180, 1024, 4
local KINDS = {[0] = "request", "answer", "non_commitment", "notice"}
local REASONS = {[0] = "none", "unknown_protocol", "no_such_right", "not_permitted", "quota_exceeded", "busy", "too_large",
                 "broken", "declined", "no_answer", "process_failed"}

-- What makes a datagram worthless: the node's counter, the section of message-1.md, and its rule.
local RULES = {
  vlan_nested = {"The datagram", "at most one VLAN tag (802.1Q)"},
  ip_fragment = {"The datagram", "no IP fragments"},
  ip_protocol_unknown = {"The datagram", "no IPv6 extension headers"},
  ip_checksum_bad = {"The datagram", "what is around the message must be right"},
  udp_malformed = {"The datagram", "the UDP length is what the IP header leaves"},
  udp_checksum_missing = {"The datagram", "the UDP checksum must be there, over IPv4 too"},
  udp_checksum_bad = {"The datagram", "the UDP checksum must be right"},
  source_invalid = {"The datagram", "the source must be one that can be answered"},
  payload_too_long = {"Limits", "the UDP payload is at most 1,232 bytes"},
  envelope_truncated = {"The datagram", "the byte string ends where the UDP payload ends"},
  envelope_not_grid = {"The datagram", "it begins with tag 1735551332, da 67 72 69 64"},
  envelope_malformed = {"The datagram", "an array of two: tag 42 around the pCID, and a byte string"},
  envelope_not_shortest = {"The datagram", "every length is in its shortest header"},
  envelope_length = {"The datagram", "there is nothing behind the byte string"},
  envelope_padding = {"The datagram", "one zero byte follows 58 LL"},
  message_size = {"The datagram", "the FlatBuffer's length is a multiple of 4, from 24 to 1,180"},
  message_malformed = {"The message", "every offset is within the buffer, at a multiple of its alignment"},
  message_kind_unknown = {"Kinds and reasons", "any other kind is dropped"},
  message_right_missing = {"The message", "a request must have `to`"},
  message_rights_too_many = {"Limits", "at most 4 carried rights"},
}
-- The same for promise-1.md.
local PROMISE_RULES = {
  promise_truncated = {"The body", "the map ends where the body ends: it goes on behind it"},
  promise_trailing = {"The body", "the map ends where the body ends: there is more behind it"},
  promise_not_map = {"The body", "a body is one map"},
  promise_not_shortest = {"The body", "every length and number is in its shortest form"},
  promise_indefinite = {"The body", "no indefinite lengths"},
  promise_type = {"The body", "numbers, byte strings, texts, arrays, maps, true and false; each key has its type"},
  promise_key_order = {"The body", "the keys of a map rise, none twice"},
  promise_utf8 = {"The body", "text is UTF-8"},
  promise_too_deep = {"The body", "at most 4 levels deep"},
  promise_key_unknown = {"The body", "a request has only the keys of its operation"},
}

local f, e = {}, {}
local function field(make, name, ...) f[name] = ProtoField[make]("promisegrid." .. name, ...) end
field("uint32", "tag", "Tag", base.DEC)
field("uint8", "array", "Items in the array")
field("bytes", "pcid", "pCID")
field("string", "pcid_text", "pCID as text")
field("string", "protocol", "Protocol")
field("uint16", "content_length", "Length of the content")
field("uint8", "padding", "Padding", base.HEX)
field("bytes", "content", "Content")
field("uint32", "root", "Table at")
field("uint32", "vtable", "vtable at")
field("uint16", "vtable_size", "Size of the vtable")
field("uint16", "table_size", "Size of the table")
field("uint8", "kind", "Kind", base.DEC, KINDS)
for _, right in ipairs {"to", "reply_to", "rights"} do
  field("bytes", right, right == "rights" and "Carried right" or right)
  field("uint32", right .. ".slot", "Slot")
  field("uint32", right .. ".generation", "Generation")
  field("bytes", right .. ".key", "Key")
end
field("uint32", "rights.count", "Carried rights")
field("bytes", "id", "Id")
field("uint32", "deadline_us", "Deadline in microseconds")
field("uint16", "reason", "Reason", base.DEC, REASONS)
field("uint32", "body_length", "Length of the body")
field("bytes", "body", "Body")
field("framenum", "response_in", "Response in", base.NONE, frametype.RESPONSE)
field("framenum", "response_to", "Response to", base.NONE, frametype.REQUEST)
field("relative_time", "time", "Time since the request")
field("string", "malformed", "Dropped by a node as")
field("string", "rule", "Rule that it breaks")

local function expert(name, text, group, severity)
  e[name] = ProtoExpert.new("promisegrid.malformed." .. name, text, group, severity)
end
for name, rule in pairs(RULES) do expert(name, rule[2], PI_MALFORMED, PI_ERROR) end
for name, rule in pairs(PROMISE_RULES) do expert(name, rule[2], PI_MALFORMED, PI_ERROR) end
local function remark(name, text, severity)
  e[name] = ProtoExpert.new("promisegrid.note." .. name, text, PI_PROTOCOL, severity)
end
remark("refused", "A node refuses or declines this", PI_WARN)
remark("unknown_protocol", "Another protocol: a node refuses it with unknown_protocol", PI_NOTE)
remark("unknown_reason", "A reason of a later version: not done, or outcome unknown", PI_NOTE)
remark("later_fields", "Fields of a later version", PI_NOTE)
remark("cut", "The capture holds only a part of this datagram", PI_NOTE)

-- promise-1: what its keys are called, and what they are.
local KEYS = {
  [0] = {"op", "number"}, {"label", "number"}, {"can", "number"}, {"rate", "number"}, {"burst", "number"},
  {"in_flight", "number"}, {"body_max", "number"}, {"deadline_us", "number"}, {"expires_ms", "number"}, {"number", "number"},
  {"who", "text"}, {"us", "number"}, {"count", "number"}, {"text", "text"}, {"tags", "array"}, {"open", "bool"},
  {"name", "text"}, {"why", "number"}, {"want", "bool"}, {"since", "number"}, {"bytes", "bytes"}, {"more", "bool"},
  {"cid", "bytes"}, {"list", "array"}, {"verdict", "text"}, {"after", "text"},
}
local OPERATIONS = {
  "mint", "derive", "grant", "attenuate", "revoke", "drop", "notify", "timer", "random", "function_advertise",
  "function_discover", "issue_token", "redeem_token", "revoke_token", "history_query", "promise_offer", "promise_accept",
  "promise_fulfil", "promise_break", "reputation_query", "reputation_attest", "history_record",
  [32] = "right_died", [33] = "right_granted",
}
local WHYS = {"revoked", "expired", "process removed", "process gave up", "instance ended"}
local LIMITS = {2, 3, 4, 5, 6, 7, 8}
local function keys(has_limits, ...)
  local set = {[0] = true}
  for _, key in ipairs {...} do set[key] = true end
  if has_limits then for _, key in ipairs(LIMITS) do set[key] = true end end
  return set
end
local ALLOWED = {
  keys(true, 1), keys(true, 1), keys(true, 1, 10), keys(true), keys(), keys(), keys(false, 9), keys(false, 11), keys(false, 12),
  keys(true, 1, 13, 14, 15), keys(false, 14, 16, 18, 25), keys(true, 10), keys(false, 20, 21), keys(false, 22),
  keys(false, 12, 19),
}
local TYPES = {number = "uint64", text = "string", bytes = "bytes", bool = "bool", array = "none"}
for key = 0, #KEYS do
  local name, kind = KEYS[key][1], KEYS[key][2]
  field(TYPES[kind], "promise." .. name, name)
end
field("string", "promise.operation", "Operation")
field("string", "promise.tag", "Tag")
field("none", "promise.function", "Function")
field("none", "promise.event", "Event")
field("uint64", "promise.event.number", "Number")
field("uint64", "promise.event.unix_ms", "Unix milliseconds")
field("string", "promise.event.what", "What")
field("string", "promise.event.text", "Text")
field("none", "promise.unknown", "Unknown key")
field("none", "promise", "promise-1")

pgrid.fields, pgrid.experts = f, e
pgrid.prefs.ports = Pref.range("UDP ports", "4646", "Ports of nodes", 65535)
pgrid.prefs.heuristic = Pref.bool("Other ports too", true,
  "Take datagrams on any UDP port that begin with tag 1735551332, an array and tag 42")
pgrid.prefs.promise_bodies = Pref.bool("Bodies are promise-1", false,
  "Read the bodies of messages as the maps of promise-1: useful where a capture shows what functions say to control")

-- What is around the datagram, as the other dissectors found it. The last one found is the innermost.
local found = {}
for _, name in ipairs {"eth.src", "eth.dst", "vlan.id", "ieee8021ad.id", "ip.src", "ip.dst", "ip.flags.mf", "ip.frag_offset", "ip.len",
                       "ip.hdr_len", "ip.checksum.status", "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.plen", "udp.length",
                       "udp.checksum", "udp.checksum.status", "icmp.type", "icmpv6.type"} do
  found[name] = Field.new(name)
end
local function last(name)
  local all = {found[name]()}
  return all[#all], #all
end
local function value_of(name)
  local info = last(name)
  return info and info.value
end
local function bytes_of(name)
  local info = last(name)
  return info and info.range:raw() or ""
end

-- Strings of bytes; offsets count from 0. Nil behind the end.
local function u8(s, at) return s:byte(at + 1) end
local function le16(s, at)
  local a, b = s:byte(at + 1, at + 2)
  return b and a + b * 256
end
local function le32(s, at)
  local a, b, c, d = s:byte(at + 1, at + 4)
  return d and a + b * 256 + c * 65536 + d * 16777216
end
local function hex(s) return (s:gsub(".", function(c) return string.format("%02x", c:byte()) end)) end
local function base32(s)  -- RFC 4648, lower case, no padding
  local alphabet, text, bits, value = "abcdefghijklmnopqrstuvwxyz234567", {}, 0, 0
  for i = 1, #s do
    value, bits = value * 256 + s:byte(i), bits + 8
    while bits >= 5 do
      bits = bits - 5
      local digit = math.floor(value / 2 ^ bits)
      text[#text + 1] = alphabet:sub(digit + 1, digit + 1)
      value = value % 2 ^ bits
    end
  end
  if bits > 0 then
    local digit = math.floor(value * 2 ^ (5 - bits))
    text[#text + 1] = alphabet:sub(digit + 1, digit + 1)
  end
  return "b" .. table.concat(text)
end
local function is_utf8(s)  -- RFC 3629
  local at = 1
  while at <= #s do
    local a, b = s:byte(at, at + 1)
    local more = a < 0x80 and 0 or a >= 0xc2 and a < 0xe0 and 1 or a >= 0xe0 and a < 0xf0 and 2 or a >= 0xf0 and a < 0xf5 and 3
    if not more then return false end
    if more > 0 and (not b or a == 0xe0 and b < 0xa0 or a == 0xed and b > 0x9f or a == 0xf0 and b < 0x90 or a == 0xf4 and b > 0x8f)
    then return false end
    for i = 1, more do
      local c = s:byte(at + i)
      if not c or c < 0x80 or c > 0xbf then return false end
    end
    at = at + 1 + more
  end
  return true
end

-- The envelope of a payload whose first bytes are `s` and which is `total` bytes long. Gives a table: `verdict` is a counter's
-- name, "cut" where the capture ends first, or "ok"; the other entries say where things lie, as far as they were seen.
local function open_envelope(s, total)
  local o = {}
  local function stop(verdict) o.verdict = verdict; return o end
  local function missing(at) return at >= total and stop("envelope_truncated") or stop("cut") end
  if total > PAYLOAD_MAX then return stop("payload_too_long") end
  for i, want in ipairs {0xda, 0x67, 0x72, 0x69, 0x64} do
    local byte = u8(s, i - 1)
    if not byte then return missing(i - 1) end
    if byte ~= want then return stop("envelope_not_grid") end
  end
  o.tag_at = 0
  local array = u8(s, 5)
  if not array then return missing(5) end
  if array >= 0x98 and array <= 0x9b then
    local count = u8(s, 6)
    if not count then return missing(6) end
    return stop(array == 0x98 and count >= 24 and "envelope_malformed" or "envelope_not_shortest")
  end
  if array < 0x81 or array > 0x97 then return stop("envelope_malformed") end
  o.items = array - 0x80
  local tag, number = u8(s, 6), u8(s, 7)
  if not number then return missing(#s) end
  if tag ~= 0xd8 then return stop(tag == 0xd9 and "envelope_not_shortest" or "envelope_malformed") end
  if number ~= 0x2a then return stop("envelope_malformed") end
  local head, length, begin = u8(s, 8), nil, 9
  if not head then return missing(8) end
  if head >= 0x45 and head <= 0x57 then
    length = head - 0x40
  elseif head == 0x58 then
    length, begin = u8(s, 9), 10
    if not length then return missing(9) end
    if length < 24 then return stop("envelope_not_shortest") end
  else
    return stop(head >= 0x59 and head <= 0x5b and "envelope_not_shortest" or "envelope_malformed")
  end
  local zero = u8(s, begin)
  if not zero then return missing(begin) end
  if zero ~= 0 then return stop("envelope_malformed") end
  if length > total - begin then return stop("envelope_truncated") end
  if length > #s - begin then return stop("cut") end
  o.pcid_at, o.pcid_length = begin + 1, length - 1
  o.pcid = s:sub(begin + 2, begin + length)
  o.protocol = PROTOCOLS[hex(o.pcid)] or "unknown"
  if o.protocol == "unknown" then return stop("ok") end
  if o.items ~= 2 then return stop("envelope_malformed") end
  -- The byte string.
  local at = begin + length
  head = u8(s, at)
  if not head then return missing(at) end
  if head == 0x58 or head == 0x59 or (o.protocol == "promise-1" and head >= 0x40 and head <= 0x57) then
    local a, b = u8(s, at + 1), u8(s, at + 2)
    if total < at + 3 and o.protocol == "message-1" then return stop("envelope_truncated") end
    local size, header = head - 0x40, 1
    if head == 0x58 then size, header = a, 2 elseif head == 0x59 then size, header = b and a * 256 + b, 3 end
    if not size then return missing(#s) end
    if head == 0x58 and size < 24 or head == 0x59 and size < 256 then return stop("envelope_not_shortest") end
    o.length_at, o.length_size, o.length = at, header, size
    if size > total - at - header then return stop("envelope_truncated") end
    if size < total - at - header then return stop("envelope_length") end
    o.content_at = at + header
    if o.protocol == "promise-1" then return stop("ok") end
    if head == 0x58 then
      if not b then return stop("cut") end
      o.padding_at, o.content_at = at + 2, at + 3
      if b ~= 0 then return stop("envelope_padding") end
    end
    o.content_length = total - o.content_at
    if o.content_length % 4 ~= 0 or o.content_length < CONTENT_MIN or o.content_length > CONTENT_MAX then return stop("message_size") end
    return stop("ok")
  end
  if total < at + 3 then return stop("envelope_truncated") end
  return stop((head == 0x5a or head == 0x5b) and "envelope_not_shortest" or "envelope_malformed")
end

-- Where the fields of the table in the FlatBuffer at `base`, `size` bytes long, lie: offsets into `s`. Nil and why, or nil and
-- "cut". A range as long as the buffer is none of its parts, as the generated verifiers have it.
local function find_fields(s, base, size)
  local function inside(at, length, align) return at % align == 0 and length < size and at <= size - length end
  local o = {}
  local root = le32(s, base)
  if not root then return nil, "cut", o end
  if root == 0 or not inside(root, 4, 4) then return nil, "the table lies outside the buffer", o end
  o.root_at = base
  local back = le32(s, base + root)
  if not back then return nil, "cut", o end
  local vtable = (root - back) % 2 ^ 32
  if not inside(vtable, 2, 2) then return nil, "the vtable lies outside the buffer", o end
  local vtable_size = le16(s, base + vtable)
  if not vtable_size then return nil, "cut", o end
  if vtable_size % 2 ~= 0 then return nil, "the vtable has an odd size", o end
  if not inside(vtable, vtable_size, 2) then return nil, "the vtable goes on behind the buffer", o end
  if base + vtable + vtable_size > #s then return nil, "cut", o end
  o.vtable_at, o.vtable_size, o.root = base + vtable, vtable_size, root
  local function place(name, index, length, align)
    local entry = 4 + 2 * index
    if entry >= vtable_size then return true end
    local distance = le16(s, base + vtable + entry)
    if not distance then return false, "cut" end
    if distance == 0 then return true end
    if not inside(root + distance, length, align) then return false, "`" .. name .. "` lies outside the buffer" end
    o[name] = base + root + distance
    return true
  end
  local function vector(name, index, element)
    local ok, why = place(name, index, 4, 4)
    if not ok or not o[name] then return ok, why end
    local at = o[name] - base
    o[name] = nil
    local distance = le32(s, base + at)
    if not distance then return false, "cut" end
    local begin = at + distance
    if distance == 0 or distance >= size or not inside(begin, 4, 4) then return false, "`" .. name .. "` lies outside the buffer" end
    local count = le32(s, base + begin)
    if not count then return false, "cut" end
    if count >= size or not inside(begin, 4 + count * element, 4) then return false, "`" .. name .. "` goes on behind the buffer" end
    o[name], o[name .. "_count"] = base + begin + 4, count
    return true
  end
  for _, step in ipairs {{place, "kind", 0, 1, 1}, {place, "to", 1, 24, 4}, {place, "reply_to", 2, 24, 4}, {place, "id", 3, 8, 1},
                         {place, "deadline_us", 4, 4, 4}, {place, "reason", 5, 2, 2}, {vector, "rights", 6, 24}, {vector, "body", 7, 1}} do
    local ok, why = step[1](step[2], step[3], step[4], step[5])
    if not ok then return nil, why, o end
  end
  return o
end

-- Marks what a node drops: expert info, the counter's name, the rule. `detail` says more where the rule alone does not.
local function flag(tree, name, detail)
  local rule, document = RULES[name], "message-1.md"
  if not rule then rule, document = PROMISE_RULES[name], "promise-1.md" end
  local sentence = string.format("%s, %s: %s%s", document, rule[1], rule[2], detail and " (" .. detail .. ")" or "")
  tree:add_proto_expert_info(e[name], sentence)
  tree:add(f.malformed, name):set_generated()
  tree:add(f.rule, sentence):set_generated()
end

-- Ethernet, IP and UDP around the datagram: the rules that a socket keeps by itself.
local function check_around(tree, pinfo)
  local _, tags = last("vlan.id")
  if tags > 1 or value_of("ieee8021ad.id") then flag(tree, "vlan_nested") end
  if value_of("ip.checksum.status") == 0 then flag(tree, "ip_checksum_bad") end
  if value_of("ip.flags.mf") or (value_of("ip.frag_offset") or 0) > 0 or value_of("ipv6.nxt") == 44 then flag(tree, "ip_fragment") end
  local next_header = value_of("ipv6.nxt")
  if next_header and next_header ~= 17 and next_header ~= 44 then flag(tree, "ip_protocol_unknown") end
  local room = value_of("ipv6.plen")
  if value_of("ip.len") then room = value_of("ip.len") - value_of("ip.hdr_len") end
  local length = value_of("udp.length")
  if length and room and length ~= room and next_header ~= 44 then
    flag(tree, "udp_malformed", string.format("UDP says %d, IP %d bytes", length, room))
  end
  if value_of("udp.checksum") == 0 then flag(tree, "udp_checksum_missing") end
  if value_of("udp.checksum.status") == 0 then flag(tree, "udp_checksum_bad") end
  local v4, v6 = bytes_of("ip.src"), bytes_of("ipv6.src")
  local first = v4:byte(1)
  local bad = pinfo.src_port == 0 or first and (first == 0 or first == 127 or first >= 224) or v4 ~= "" and v4 == bytes_of("ip.dst")
  local zeros = string.rep("\0", 8)
  if #v6 == 16 then
    bad = bad or v6:byte(1) == 0xff or v6 == bytes_of("ipv6.dst") or v6:sub(1, 15) == zeros .. zeros:sub(1, 7) and v6:byte(16) <= 1 or
          v6:sub(1, 12) == zeros .. "\0\0\255\255"
  end
  local mac = bytes_of("eth.src")
  if bad or #mac == 6 and (mac:byte(1) % 2 == 1 or mac == bytes_of("eth.dst")) then flag(tree, "source_invalid") end
end

-- Requests and what came back: by frame number. An answer belongs to the last request before it, between the same addresses and
-- ports and with the same id, that has none; a refusal of another protocol, whose id the datagram did not have, to the last such.
local pending, request_of, response_of = {}, {}, {}
function pgrid.init() pending, request_of, response_of = {}, {}, {} end

local function remember(pinfo, is_request, id)
  if pinfo.visited or value_of("icmp.type") or value_of("icmpv6.type") then return end
  local source = tostring(pinfo.net_src) .. "|" .. pinfo.src_port
  local target = tostring(pinfo.net_dst) .. "|" .. pinfo.dst_port
  if is_request then
    local key = source .. "|" .. target .. "|" .. id
    pending[key] = pending[key] or {}
    table.insert(pending[key], {frame = pinfo.number, at = pinfo.rel_ts})
  else
    local waiting = pending[target .. "|" .. source .. "|" .. id]
    local request = waiting and table.remove(waiting)
    if not request then return end
    request_of[pinfo.number] = {frame = request.frame, time = pinfo.rel_ts - request.at}
    response_of[request.frame] = pinfo.number
  end
end

local function show_other_frame(tree, pinfo)
  local response, request = response_of[pinfo.number], request_of[pinfo.number]
  if response then tree:add(f.response_in, response):set_generated() end
  if request then
    tree:add(f.response_to, request.frame):set_generated()
    local seconds = math.floor(request.time)
    tree:add(f.time, NSTime.new(seconds, math.floor((request.time - seconds) * 1e9 + 0.5))):set_generated()
  end
end

-- promise-1. `c` is what is being read: `s` and `tvb` (offsets count from the payload's first byte), `stop` (where the body
-- ends) and `wrong` (flags, gives nil). Every function gives nil when something was flagged; then nothing more is read.
local MAJORS = {[0] = "number", [2] = "bytes", [3] = "text", [4] = "array", [5] = "map", [7] = "bool"}
local DEPTH_MAX = 4

-- The head of the item at `at`, and of a string its place.
local function cbor_head(c, at)
  local initial = at < c.stop and u8(c.s, at)
  if not initial then return c.wrong("promise_truncated", at) end
  local major, info = math.floor(initial / 32), initial % 32
  local item = {kind = MAJORS[major], value = info, at = at, next = at + 1}
  if info == 31 and major ~= 0 and major ~= 1 and major ~= 6 then return c.wrong("promise_indefinite", at) end
  if not item.kind or info > 27 then return c.wrong("promise_type", at) end
  if item.kind == "bool" then
    if info ~= 20 and info ~= 21 then return c.wrong("promise_type", at) end
    item.value = info == 21
    return item
  end
  if info >= 24 then
    local size, value = 2 ^ (info - 24), 0
    item.next = at + 1 + size
    if item.next > c.stop or item.next > #c.s then return c.wrong("promise_truncated", at) end
    for i = 1, size do value = value * 256 + u8(c.s, at + i) end  -- exact below 2^53; it is shown from its bytes
    if value < (size == 1 and 24 or 2 ^ (4 * size)) then return c.wrong("promise_not_shortest", at) end
    item.value, item.number_at = value, at + 1
  end
  if item.kind == "bytes" or item.kind == "text" then
    item.begin, item.length = item.next, item.value
    if item.length > c.stop - item.begin or item.length > #c.s - item.begin then return c.wrong("promise_truncated", at) end
    item.next = item.begin + item.length
    if item.kind == "text" and not is_utf8(c.s:sub(item.begin + 1, item.next)) then return c.wrong("promise_utf8", at) end
  end
  return item
end

local function draw_scalar(c, tree, item, to)
  local whole = c.tvb(item.at, item.next - item.at)
  if item.kind == "number" and item.number_at then return tree:add(to, c.tvb(item.number_at, item.next - item.number_at)) end
  if item.kind == "number" then return tree:add(to, whole, UInt64.new(item.value)) end
  if item.kind == "bool" then return tree:add(to, whole, item.value) end
  if item.length == 0 then return tree:add(to, whole, item.kind == "text" and "" or ByteArray.new()) end
  local range = c.tvb(item.begin, item.length)
  return item.kind == "text" and tree:add_packet_field(to, range, ENC_UTF_8) or tree:add(to, range)
end

local function explain(tree, drawn, key, value)
  if key == 0 and OPERATIONS[value] then
    drawn:append_text(" (" .. OPERATIONS[value] .. ")")
    tree:add(f["promise.operation"], OPERATIONS[value]):set_generated()
  elseif key == 2 then
    local words = {}
    for index, word in ipairs {"send", "derive", "carry"} do
      if math.floor(value / 2 ^ (index - 1)) % 2 == 1 then words[#words + 1] = word end
    end
    drawn:append_text(" (" .. table.concat(words, ", ") .. ")")
  elseif key == 17 then
    drawn:append_text(" (" .. (WHYS[value] or "dead") .. ")")
  end
end

-- What the elements of an array or map are called and are: {name, kind}, or nil where anything may stand.
local EVENT = {{"event.number", "number"}, {"event.unix_ms", "number"}, {"event.what", "text"}, {"event.text", "text"}}
local LISTED = {map = {"function", "map"}, array = {"event", "array"}}
local function element_of(what, index, kind)
  if what == "tags" then return {"tag", "text"} end
  if what == "event" then return EVENT[index] end
  if what == "list" then return LISTED[kind] end
end

-- One item and everything in it, drawn under `tree`. `what`: its name and kind, if it has one.
local function draw_item(c, tree, at, level, what, key)
  local item = cbor_head(c, at)
  if not item then return nil end
  what = what or c.element and element_of(c.element, c.index, item.kind)
  if what and what[2] ~= item.kind then return c.wrong("promise_type", at, string.format("`%s` is a %s", what[1], what[2])) end
  local name = what and what[1] or "unknown"
  local to = f[name == "promise" and name or "promise." .. name]
  if item.kind ~= "array" and item.kind ~= "map" then
    if not what then
      tree:add(to, c.tvb(at, item.next - at)):append_text(key and string.format(" %.0f", key) or "")
    else
      explain(tree, draw_scalar(c, tree, item, to), key, item.value)
    end
    return item
  end
  if level > DEPTH_MAX then return c.wrong("promise_too_deep", at) end
  local sub, previous = tree:add(to, c.tvb(at, item.next - at)), -1
  item.shown, item.tree = {}, sub
  if item.value > c.stop - item.next then return c.wrong("promise_truncated", at) end
  for index = 1, item.value do
    local name_of_value, value_key
    if item.kind == "map" then
      local head = cbor_head(c, item.next)
      if not head then return nil end
      if head.kind ~= "number" then return c.wrong("promise_type", head.at, "a key is a number") end
      if head.value <= previous then return c.wrong("promise_key_order", head.at) end
      value_key, previous, item.next = head.value, head.value, head.next
      name_of_value = KEYS[value_key]
    end
    c.element, c.index = item.kind == "array" and name, index
    local value = draw_item(c, sub, item.next, level + 1, name_of_value, value_key)
    if not value then return nil end
    if value_key then item.shown[value_key] = value.value end
    item.next = value.next
  end
  sub:set_len(item.next - at)
  return item
end

-- A body of promise-1 from `at` to `stop`; gives one or two words about it.
local function draw_promise(tvb, s, at, stop, tree)
  local c = {tvb = tvb, s = s, stop = stop}
  function c.wrong(name, where, detail)
    if #s < stop and name == "promise_truncated" then
      tree:add_proto_expert_info(e.cut)
    else
      flag(tree, name, string.format("byte %d%s", where - at, detail and ", " .. detail or ""))
    end
  end
  local initial = at < stop and u8(s, at)
  if initial and math.floor(initial / 32) ~= 5 then
    c.wrong("promise_not_map", at)
    return "malformed"
  end
  local map = draw_item(c, tree, at, 1, {"promise", "map"})
  if not map then return "malformed" end
  if map.next < stop then c.wrong("promise_trailing", map.next) end
  local op = map.shown[0]
  if not op then return "answer" end
  if op < 32 then
    for key in pairs(map.shown) do
      if ALLOWED[op] and not ALLOWED[op][key] then c.wrong("promise_key_unknown", at, string.format("key %.0f", key)) end
    end
    if not ALLOWED[op] then map.tree:add_proto_expert_info(e.refused, "The operation is unknown: declined") end
  end
  return OPERATIONS[op] or string.format("operation %.0f", op)
end

-- message-1.
local function draw_right(tree, tvb, name, at)
  local item = tree:add(f[name], tvb(at, 24))
  local slot, generation = tvb(at, 4):le_uint(), tvb(at + 4, 4):le_uint()
  item:set_text(string.format("%s: slot %d, generation %d", name, slot, generation))
  item:add_le(f[name .. ".slot"], tvb(at, 4))
  item:add_le(f[name .. ".generation"], tvb(at + 4, 4))
  item:add(f[name .. ".key"], tvb(at + 8, 16))
  return string.format("%d.%d", slot, generation)
end

-- The FlatBuffer. Gives a line for the packet list, and remembers the message for its counterpart.
local function draw_message(tvb, s, o, tree, pinfo)
  local at, size = o.content_at, o.content_length
  local content = tree:add(f.content, tvb(at, math.min(size, #s - at)))
  content:set_text(string.format("FlatBuffer, %d bytes", size))
  local m, why, seen = find_fields(s, at, size)
  local layout = m or seen
  if layout.vtable_at then
    content:add_le(f.root, tvb(at, 4))
    content:add(f.vtable, tvb(layout.vtable_at, layout.vtable_size), layout.vtable_at - at)
    content:add_le(f.vtable_size, tvb(layout.vtable_at, 2))
    if layout.vtable_size >= 4 then content:add_le(f.table_size, tvb(layout.vtable_at + 2, 2)) end
    if layout.vtable_size > 4 + 2 * 8 then content:add_proto_expert_info(e.later_fields) end
  end
  if why == "cut" then
    tree:add_proto_expert_info(e.cut)
    return "cut by the capture"
  elseif not m then
    flag(tree, "message_malformed", why)
    return "malformed"
  end

  -- What is absent, or not in the capture, is left out: but for the kind, which is shown as the 0 that it means.
  local function held(place, length) return place and place + length <= #s end
  local kind, cut = 0, #s < o.total
  if m.kind then kind = u8(s, m.kind) end
  if not kind then
    tree:add_proto_expert_info(e.cut)
    return "cut by the capture"
  end
  if m.kind then tree:add(f.kind, tvb(m.kind, 1)) else tree:add(f.kind, 0):set_generated() end
  local to = held(m.to, 24) and draw_right(tree, tvb, "to", m.to)
  if held(m.reply_to, 24) then draw_right(tree, tvb, "reply_to", m.reply_to) end
  local id = m.id and s:sub(m.id + 1, m.id + 8) or string.rep("\0", 8)
  if held(m.id, 8) then tree:add(f.id, tvb(m.id, 8)) end
  if held(m.deadline_us, 4) then tree:add_le(f.deadline_us, tvb(m.deadline_us, 4)) end
  local reason = m.reason and le16(s, m.reason) or 0
  if held(m.reason, 2) then tree:add_le(f.reason, tvb(m.reason, 2)) elseif kind == 2 then tree:add(f.reason, 0) end
  if m.rights then
    tree:add_le(f["rights.count"], tvb(m.rights - 4, 4))
    for index = 0, m.rights_count - 1 do
      if held(m.rights + 24 * index, 24) then draw_right(tree, tvb, "rights", m.rights + 24 * index) end
    end
  end
  local length = m.body and m.body_count or 0
  tree:add(f.body_length, length):set_generated()
  local body = math.min(length, m.body and #s - m.body or 0)
  if body > 0 then
    local item = tree:add(f.body, tvb(m.body, body))
    local text = s:sub(m.body + 1, m.body + body)
    if not text:find("[^\32-\126]") then item:append_text(' "' .. text:sub(1, 64) .. (#text > 64 and "..." or "") .. '"') end
  end
  if cut then tree:add_proto_expert_info(e.cut) end

  if not KINDS[kind] then
    flag(tree, "message_kind_unknown", "kind " .. kind)
    return "kind " .. kind
  end
  local line = KINDS[kind]
  if kind == 0 and not m.to then
    flag(tree, "message_right_missing")
  elseif (m.rights_count or 0) > RIGHTS_MAX then
    flag(tree, "message_rights_too_many", m.rights_count .. " rights")
  else
    if kind == 0 and length > BODY_MAX then tree:add_proto_expert_info(e.refused, "The body is longer than 1,024 bytes: too_large") end
    if kind == 0 and m.rights_count and m.rights_count > 0 then
      tree:add_proto_expert_info(e.refused, "Datagrams may not carry rights today: not_permitted")
    end
    if kind == 2 and not REASONS[reason] then tree:add_proto_expert_info(e.unknown_reason) end
    if kind <= 2 and (not m.id or held(m.id, 8)) then remember(pinfo, kind == 0, kind == 2 and reason == 1 and "unknown" or hex(id)) end
  end
  if kind == 0 and to then line = line .. " to " .. to end
  if kind == 2 then line = line .. ", " .. (REASONS[reason] or "reason " .. reason) else line = line .. ", " .. length .. " bytes" end
  if body > 0 and body == length and pgrid.prefs.promise_bodies then
    line = line .. ", " .. draw_promise(tvb, s, m.body, m.body + body, tree)
  end
  return line
end

local function dissect(tvb, pinfo, root)
  local total = tvb:reported_len()
  local s = tvb:captured_len() > 0 and tvb:raw() or ""
  local tree = root:add(pgrid, tvb())
  pinfo.cols.protocol = "PromiseGrid"
  check_around(tree, pinfo)

  local o = open_envelope(s, total)
  o.total = total
  if o.tag_at then tree:add(f.tag, tvb(1, 4)) end
  if o.items then tree:add(f.array, tvb(5, 1), o.items) end
  if o.pcid then
    tree:add(f.pcid, tvb(o.pcid_at, o.pcid_length))
    tree:add(f.pcid_text, tvb(o.pcid_at, o.pcid_length), base32(o.pcid)):set_generated()
    tree:add(f.protocol, o.protocol):set_generated()
  end
  if o.length then tree:add(f.content_length, tvb(o.length_at, o.length_size), o.length) end
  if o.padding_at then tree:add(f.padding, tvb(o.padding_at, 1)) end

  local line
  if o.verdict == "cut" then
    tree:add_proto_expert_info(e.cut)
    line = "cut by the capture"
  elseif o.verdict ~= "ok" then
    flag(tree, o.verdict)
    line = "malformed: " .. o.verdict
  elseif o.protocol == "unknown" then
    tree:add_proto_expert_info(e.unknown_protocol)
    remember(pinfo, true, "unknown")
    line = "another protocol"
  elseif o.protocol == "promise-1" then
    line = "promise-1 " .. draw_promise(tvb, s, o.content_at, total, tree)
  else
    line = draw_message(tvb, s, o, tree, pinfo)
  end
  show_other_frame(tree, pinfo)
  pinfo.cols.info = line
  tree:append_text(", " .. line)
  return total
end

function pgrid.dissector(tvb, pinfo, root) return dissect(tvb, pinfo, root) end

-- On other ports: an envelope's first 8 bytes cannot be mistaken.
pgrid:register_heuristic("udp", function(tvb, pinfo, root)
  if not pgrid.prefs.heuristic or tvb:captured_len() < 8 then return false end
  local s = tvb:raw(0, 8)
  local array = u8(s, 5)
  if s:sub(1, 5) ~= "\218\103\114\105\100" or array < 0x81 or array > 0x97 or s:sub(7, 8) ~= "\216\42" then return false end
  dissect(tvb, pinfo, root)
  return true
end)

local udp_ports = DissectorTable.get("udp.port")
local ports = pgrid.prefs.ports
udp_ports:add(ports, pgrid)
function pgrid.prefs_changed()
  if pgrid.prefs.ports == ports then return end
  if ports ~= "" then udp_ports:remove(ports, pgrid) end
  ports = pgrid.prefs.ports
  if ports ~= "" then udp_ports:add(ports, pgrid) end
end
