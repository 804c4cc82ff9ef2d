-- Throughput in the sense of RFC 2544 section 26.1: the fastest rate at which every request is answered. A binary search between
-- nothing and PKTGEN_TO messages a second (default: all of the link) that begins at PKTGEN_FROM (default: the middle); then
-- PKTGEN_CONFIRM trials (3) at the rate that was found. If one of these loses something, the search goes on below. All settings
-- are variables of the environment: README.md.
package.path = (debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "?.lua;" .. package.path
local trial = require "trial"

local function setting(name, default) return tonumber(os.getenv(name) or "") or default end
local low, high = 0, setting("PKTGEN_TO", trial.line_rate())  -- lost nothing; not tried, or lost something
local rate = setting("PKTGEN_FROM", high / 2)
local precision = setting("PKTGEN_PRECISION", 0.02)  -- of the rate that is found
local confirmations = setting("PKTGEN_CONFIRM", 3)
local trials_left = setting("PKTGEN_TRIALS", 60)
local best

local function loses_nothing(wanted)
  trials_left = trials_left - 1
  local done = trial.run(wanted, trial.seconds)
  trial.say("%s", trial.describe(done))
  local kept = trial.kept_rate(done)
  if not kept then trial.say("the source did not keep that rate, so it says nothing about the node") end
  if done.tx == 0 or done.lost ~= 0 or not kept then return false end
  best = done
  return true
end

pktgen.screen("off")
local confirmed
repeat
  while high - low > precision * high and trials_left > 0 do
    if loses_nothing(rate) then low = rate else high = rate end
    rate = (low + high) / 2
  end
  confirmed = 0
  while low > 0 and confirmed < confirmations and loses_nothing(low) do confirmed = confirmed + 1 end
  if confirmed < confirmations then low, high, rate = 0, low, 0.9 * low end
until confirmed == confirmations or high < 1 or trials_left <= 0

if confirmed == confirmations then
  best.throughput = best.offered
  trial.say("throughput: %.0f messages a second, every one answered, in %d trials of %.0f s with frames of %d bytes", best.offered,
            confirmations, trial.seconds, trial.facts.frame_bytes)
else
  best = {throughput = 0}
  trial.say("throughput: no rate without loss was found and confirmed")
end
trial.report("throughput", best)
pktgen.quit()
