-- One trial of RFC 2544 with Pktgen-DPDK: so many requests of the pcap at a steady rate, then what came back. Used by throughput.lua and
-- frame_loss.lua in this folder; see README.md.
--
-- A node always answers, so counting frames alone would praise one that refuses everything: what it cannot take comes back as a
-- refusal (`busy`), a frame of a length of its own. From frames and bytes received together follows how many were answers; make-pcap
-- writes the lengths into FILE.lua beside its FILE.

local M = {}

local function number_of(name, default)
  local text = os.getenv(name)
  local value = text and tonumber(text)
  if text and not value then error(name .. " is not a number: " .. text) end
  return value or default
end

M.port = os.getenv("PKTGEN_PORT") or "0"
M.pid = tonumber(M.port)
M.seconds = number_of("PKTGEN_SECONDS", 60)        -- RFC 2544 section 24: at least 60
M.settle_ms = 1000 * number_of("PKTGEN_SETTLE", 5) -- section 23: 2 s for what is under way, 5 until the node has settled
M.result = os.getenv("PKTGEN_RESULT")
local facts_file = os.getenv("PKTGEN_FACTS") or error("set PKTGEN_FACTS to the .lua file that make-pcap wrote beside the pcap")
M.facts = dofile(facts_file)

-- What a frame takes on the wire beside its own bytes: gap 12, start and preamble 8, checksum 4.
local OVERHEAD_BYTES = 24
local COUNT_MAX = 2 ^ 32 - 1  -- Pktgen keeps it in 32 bits

local function uptime()
  local file = assert(io.open("/proc/uptime"))
  local seconds = file:read("*n")
  file:close()
  return seconds
end

-- Messages a second at 100 % of the link, as Pktgen reckons: the link's own speed is the unit of its rates.
function M.line_rate()
  local state = pktgen.linkState(M.port)[M.pid]
  local mbits = tonumber(string.match(state, "(%d+)")) or error("port " .. M.port .. " has no link: " .. state)
  return mbits * 1e6 / (8 * (M.facts.frame_bytes + OVERHEAD_BYTES))
end

local function copy_of(stats) return {tx = stats.opackets, tx_bytes = stats.obytes, rx = stats.ipackets, rx_bytes = stats.ibytes} end
local function counted() return copy_of(pktgen.portStats(M.port, "port")[M.pid]) end

local function rounded(value) return math.floor(value + 0.5) end

-- Sends `seconds` at `rate` messages a second. Gives what was sent and what came back; `lost` counts requests without an answer,
-- refused ones too.
function M.run(rate, seconds)
  local percent = 100 * rate / M.line_rate()
  if percent > 100 then error(string.format("%d messages a second are more than the link's %d", rate, M.line_rate())) end
  pktgen.set(M.port, "rate", percent)
  pktgen.set(M.port, "count", math.max(1, math.min(COUNT_MAX, rounded(rate * seconds))))
  pktgen.delay(M.settle_ms)
  local before, began = counted(), uptime()
  pktgen.start(M.port)
  repeat pktgen.delay(10) until pktgen.isSending(M.port)[M.pid] == "n" or uptime() - began > 4 * seconds + 10
  local elapsed = uptime() - began
  pktgen.stop(M.port)
  pktgen.delay(2000 + 1500)  -- what is under way, and Pktgen's own counting, which happens once a second
  local after, trial = counted(), {}
  for name, value in pairs(after) do trial[name] = value - before[name] end

  local checksum = trial.tx > 0 and rounded(trial.tx_bytes / trial.tx) - M.facts.frame_bytes or 0  -- some drivers count its 4 bytes
  local answer, refusal = M.facts.answer_bytes + checksum, M.facts.refusal_bytes + checksum
  trial.answered = rounded((trial.rx_bytes - trial.rx * refusal) / (answer - refusal))
  trial.refused = trial.rx - trial.answered
  trial.lost = trial.tx - trial.answered
  trial.seconds, trial.wanted, trial.offered = elapsed, rate, trial.tx / elapsed
  return trial
end

-- A source that could not keep its rate says nothing about the node at that rate.
function M.kept_rate(trial) return trial.offered >= 0.95 * trial.wanted end

function M.describe(trial)
  return string.format("wanted %10.0f/s, offered %10.0f/s for %.1f s: sent %d, answered %d, refused %d, nothing came for %d",
                       trial.wanted, trial.offered, trial.seconds, trial.tx, trial.answered, trial.refused, trial.tx - trial.rx)
end

-- One line for people, and one JSON object a line into PKTGEN_RESULT.
function M.report(name, values)
  local parts = {string.format('"test": "%s", "frame_bytes": %d', name, M.facts.frame_bytes)}
  for _, key in ipairs {"throughput", "loss_percent", "wanted", "offered", "seconds", "tx", "rx", "answered", "refused", "lost"} do
    if values[key] then parts[#parts + 1] = string.format('"%s": %.6g', key, values[key]) end
  end
  if not M.result then return end
  local file = assert(io.open(M.result, "a"))
  file:write("{", table.concat(parts, ", "), "}\n")
  file:close()
end

function M.say(...) print("pgrid: " .. string.format(...)) end

return M
