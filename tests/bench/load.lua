-- load.lua: what wrk sends. Its argument is a Lua file that returns
--   {method=, headers={}, paths={...}, body={before, after}}   paths in turn; a body with a number within
-- Prints one line of JSON at the end. wrk counts by itself every status above 399; looking at each
-- answer here would cost more than some servers take to make it.

local threads = 0

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

local plan, requests, head
local sent = 0

function init(args)
    plan, requests = dofile(args[1]), {}
    if plan.body then
        local parts = {}
        for name, value in pairs(plan.headers) do
            parts[#parts + 1] = name .. ": " .. value .. "\r\n"
        end
        head = plan.method .. " " .. plan.paths[1] .. " HTTP/1.1\r\nHost: localhost\r\n"
            .. table.concat(parts) .. "Content-Length: "
    end
    for i, path in ipairs(plan.paths) do
        requests[i] = wrk.format(plan.method, path, plan.headers)
    end
end

function request()
    sent = sent + 1
    if head then
        local body = plan.body[1] .. number .. "." .. sent .. plan.body[2]
        return head .. #body .. "\r\n\r\n" .. body
    end
    return requests[sent % #requests + 1]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"seconds":%.6f,"p50":%.3f,"p99":%.3f,"connect":%d,"read":%d,"write":%d,'
        .. '"status":%d,"timeout":%d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3, errors.connect, errors.read, errors.write, errors.status,
        errors.timeout))
end
