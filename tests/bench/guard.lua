-- wrk's script: each connection's request is an authorize, or the settle of a hold that came back.
-- Arguments: guard key, number of accounts, "null" when the answers name no hold.  guard_ids.lua gives each authorize a
-- requestId.
dofile("done.lua")

local account, settle = "{\"account\":\"bench:%d\",\"model\":\"gpt-4o\",\"inputTokens\":500,\"maxOutputTokens\":200}",
	"{\"hold\":\"%s\",\"inputTokens\":480,\"outputTokens\":150}"
local account_id = account:gsub("}$", ",\"requestId\":\"%%d-%%d\"}")
local held = {}
local count, accounts, null, began

function init(arguments)
	wrk.headers["Authorization"] = "Bearer " .. arguments[1]
	wrk.headers["Content-Type"] = "application/json"
	accounts, null, count = tonumber(arguments[2]), arguments[3] == "null", 0
	began = os.time()
	math.randomseed(began)
end

function request()
	local hold = table.remove(held)
	if hold then
		return wrk.format("POST", "/api/guard/settle", nil, settle:format(hold))
	end
	if not with_ids then
		return wrk.format("POST", "/api/guard/authorize", nil, account:format(math.random(accounts)))
	end
	count = count + 1
	return wrk.format("POST", "/api/guard/authorize", nil, account_id:format(math.random(accounts), began, count))
end

function response(status, headers, body)
	local hold = body:match('"decision":"allow".-"hold":"([%w_-]+)"')
	if null then -- every other answer, as if it had been an authorize's
		count = count + 1
		hold = count % 2 == 1 and "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" or nil
	end
	if hold then
		held[#held + 1] = hold
	end
end
