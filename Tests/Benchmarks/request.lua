-- One kind of request for wrk, from the environment: BENCH_METHOD, BENCH_PATH, BENCH_HEADERS (name: value lines),
-- BENCH_BODY. `@` in path or body is replaced by a number from 0 to 999 that moves on with each request, `#` in the body by
-- one that never comes again, so that a write changes something. A key comes by environment and not by argument.
local method = os.getenv("BENCH_METHOD") or "GET"
local path = os.getenv("BENCH_PATH")
local body = os.getenv("BENCH_BODY")
local moves = path:find("@", 1, true) or (body and body:find("@", 1, true))
local headers = {}
for name, value in (os.getenv("BENCH_HEADERS") or ""):gmatch("([^:\n]+): ([^\n]*)") do headers[name] = value end

local unique = body and body:find("#", 1, true)

local prepared, next_index = {}, 0

function init(arguments)
  math.randomseed(os.time())
  -- The address of a table of its own: threads that begin in the same second must not write the same.
  seed, serial = tostring({}):sub(8) .. "-" .. os.time() .. "-", 0
  for number = 0, moves and 999 or 0 do
    local text = tostring(number)
    prepared[number] = wrk.format(method, (path:gsub("@", text)), headers, body and (body:gsub("@", text)))
  end
  if moves then next_index = math.random(0, 999) end
end

function request()
  if not moves then return prepared[0] end
  next_index = (next_index + 1) % 1000
  if unique then
    serial = serial + 1
    local text = tostring(next_index)
    local fresh = body:gsub("@", text):gsub("#", seed .. serial)
    return wrk.format(method, (path:gsub("@", text)), headers, fresh)
  end
  return prepared[next_index]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":%d}\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
