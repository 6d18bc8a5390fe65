-- rest.lua: what wrk sends, another token with each request; run by bench.sh.
-- wrk ... -s rest.lua URL -- TOKENS PATH

local tokens = {}
local n = 0
local path

function init(args)
	for line in io.lines(args[1]) do
		tokens[#tokens + 1] = line
	end
	path = args[2]
end

function request()
	n = n % #tokens + 1
	local user = string.format("user_%027d", (n - 1) % 1000)
	return wrk.format("GET", path .. "?user_id=eq." .. user, { Authorization = "Bearer " .. tokens[n] })
end

-- a request that does not give ten rows counts as an error of the benchmark
function response(status, headers, body)
	if status ~= 200 or select(2, body:gsub('"id"', "")) ~= 10 then
		io.stderr:write(status, " ", body, "\n")
		os.exit(1)
	end
end
