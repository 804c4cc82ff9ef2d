-- Frame loss rate in the sense of RFC 2544 section 26.3: how many of the requests have no answer at 100 %, 90 %, 80 % ... of PKTGEN_TO
-- messages a second (default: all of the link), until two rates in a row lose nothing. Settings: README.md.
package.path = (debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "?.lua;" .. package.path
local trial = require "trial"

pktgen.screen("off")
local top = tonumber(os.getenv("PKTGEN_TO") or "") or trial.line_rate()
local without_loss = 0
for percent = 100, 10, -10 do
  local done = trial.run(top * percent / 100, trial.seconds)
  done.loss_percent = done.tx > 0 and 100 * done.lost / done.tx or 100
  trial.say("%3d %%: %s: loss %.4f %%", percent, trial.describe(done), done.loss_percent)
  trial.report("frame_loss", done)
  without_loss = done.lost == 0 and without_loss + 1 or 0
  if without_loss == 2 then break end
end
pktgen.quit()
