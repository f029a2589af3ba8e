-- One kind of request for wrk, from the environment: BENCH_METHOD, BENCH_PATH, BENCH_HEADERS (name: value lines),
-- BENCH_BODY. In path and body, `@` stands for a number below BENCH_NUMBERS, seven digits long, and `#` for twenty digits that
-- never come again. Numbers are drawn at random; with BENCH_FILL, the number of threads, each comes once and in order, and a
-- thread says FILLED on standard error when its share was answered.
--
-- Both stand-ins have one length, so the text around them is made once and a request costs wrk little.
local numbers = tonumber(os.getenv("BENCH_NUMBERS")) or 1000
local filling = tonumber(os.getenv("BENCH_FILL"))
local format, concat, random = string.format, table.concat, math.random

local threads = 0
function setup(thread)
  thread:set("index", threads)
  threads = threads + 1
end

local pieces, marks, prefix = {}, {}, ""
local answered = 0

function init(arguments)
  local function stand_in(text)
    return text and (text:gsub("@", string.rep("\1", 7)):gsub("#", string.rep("\2", 20)))
  end
  local headers = {}
  for name, value in (os.getenv("BENCH_HEADERS") or ""):gmatch("([^:\n]+): ([^\n]*)") do headers[name] = value end
  local text = wrk.format(os.getenv("BENCH_METHOD") or "GET", stand_in(os.getenv("BENCH_PATH")), headers, stand_in(os.getenv("BENCH_BODY")))
  -- The text between two marks at the odd places, what replaces the marks at the even ones.
  local from = 1
  while true do
    local first, last = text:find("\1\1\1\1\1\1\1", from, true)
    local other, beyond = text:find(string.rep("\2", 20), from, true)
    if other and (not first or other < first) then first, last = other, beyond end
    if not first then break end
    pieces[#pieces + 1] = text:sub(from, first - 1)
    marks[#pieces + 1] = text:sub(first, first)
    pieces[#pieces + 1] = ""
    from = last + 1
  end
  pieces[#pieces + 1] = text:sub(from)

  -- The address of a table of its own: threads that begin in the same second must not write the same.
  local seed = tonumber(tostring({}):match("0x(%x+)"), 16) % 2 ^ 31
  math.randomseed(seed + os.time())
  prefix = format("%010d", random(0, 2 ^ 31 - 1))
  serial = 0
  if filling then
    first_number = math.floor(numbers * index / filling)
    next_number = first_number
    last_number = math.floor(numbers * (index + 1) / filling) - 1
    share = last_number - next_number + 1
  end
end

local function number()
  if not filling then return random(0, numbers - 1) end
  local value = next_number
  next_number = next_number < last_number and next_number + 1 or first_number
  return value
end

function request()
  if #pieces == 1 then return pieces[1] end
  local digits = format("%07d", number())
  for place, mark in pairs(marks) do
    if mark == "\1" then
      pieces[place] = digits
    else
      serial = serial + 1
      pieces[place] = prefix .. format("%010d", serial)
    end
  end
  return concat(pieces)
end

if filling then
  -- The share is sent round and round. wrk takes one request that it does not send, and each of its connections has one on its
  -- way: with as many answers more than the share has numbers, each number was answered.
  local spare = 1 + 64
  function response()
    answered = answered + 1
    if answered == share + spare then
      io.stderr:write("FILLED\n")
      io.stderr:flush()
    end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(format(
    'RESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":%d}\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
