-- Pktgen's Lua functions over a simulated node and clock, then the script under test. SIMULATED_TAKES: messages a second that the node
-- answers; what is offered beyond is refused, and beyond twice that nothing comes back at all.
local takes, source_max = tonumber(os.getenv("SIMULATED_TAKES")), tonumber(os.getenv("SIMULATED_SOURCE") or "1e12")
local facts = dofile(os.getenv("PKTGEN_FACTS"))
local clock, rate, count, sending_until = 0, 0, 0, 0
local stats = {opackets = 7, obytes = 7 * facts.frame_bytes, ipackets = 3, ibytes = 3 * facts.answer_bytes}  -- of before
local LINK_MBITS = 10000

local real_open = io.open
io.open = function(path, ...)
  if path ~= "/proc/uptime" then return real_open(path, ...) end
  return {read = function() return clock end, close = function() end}
end

_G.pktgen = {  -- tshark gives each script globals of its own
  screen = function() end,
  quit = function() end,
  delay = function(ms) clock = clock + ms / 1000 end,
  linkState = function() return {[0] = "<UP-" .. LINK_MBITS .. "-FD>"} end,
  portStats = function() return {[0] = stats} end,
  isSending = function() return {[0] = clock < sending_until and "y" or "n"} end,
  stop = function() end,
  set = function(_, what, value)
    assert(value > 0 and (what ~= "rate" or value <= 100) and (what ~= "count" or value == math.floor(value)), what .. " " .. value)
    if what == "rate" then rate = value / 100 * LINK_MBITS * 1e6 / (8 * (facts.frame_bytes + 24)) else count = value end
  end,
  start = function()
    local real = math.min(rate, source_max)
    local answered = math.floor(count * math.min(1, takes / real))
    local refused = math.min(count - answered, answered)
    sending_until = clock + count / real
    stats = {opackets = stats.opackets + count, obytes = stats.obytes + count * facts.frame_bytes,
             ipackets = stats.ipackets + answered + refused,
             ibytes = stats.ibytes + answered * facts.answer_bytes + refused * facts.refusal_bytes}
  end,
}

dofile(os.getenv("SIMULATED_SCRIPT"))
