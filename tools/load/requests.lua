-- What wrk asks: "wrk … -s requests.lua URL -- PATHS" takes the lines of PATHS in turn; "-- PATH BODY SEED" posts BODY, a
-- spec whose @SEED@ is another number each time, from SEED on. One JSON line with the result goes to standard error.
local requests, at, body, path, seed = {}, 0

function init(arguments)
   if arguments[2] then
      path, seed = arguments[1], tonumber(arguments[3])
      local file = assert(io.open(arguments[2]))
      body = file:read("*a")
      file:close()
      wrk.headers["Content-Type"] = "application/json"
      request = post
   else
      for line in io.lines(arguments[1]) do requests[#requests + 1] = wrk.format("GET", line) end
      assert(#requests > 0, "no paths")
      request = get
   end
end

function get()
   at = at % #requests + 1
   return requests[at]
end

function post()
   seed = seed + 1
   return wrk.format("POST", path, nil, (body:gsub("@SEED@", string.format("%d", seed))))
end

request = get -- wrk looks for the function before init has run

function done(summary, latency)
   local errors = summary.errors
   io.stderr:write(string.format(
      '{"answers": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "maximum_ms": %.4f, ' ..
      '"refused": %d, "broken": %d, "timeouts": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      latency.max / 1e3, errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
