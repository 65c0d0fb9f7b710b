-- wrk's script: what an account has, asked for one account after another at random.
-- Arguments: key, number of accounts.
local accounts

function init(arguments)
	wrk.headers["Authorization"] = "Bearer " .. arguments[1]
	accounts = tonumber(arguments[2])
	math.randomseed(os.time())
end

function request()
	return wrk.format("GET", "/api/credits?account=bench:" .. math.random(accounts))
end

function done(summary, latency)
	io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50),
		latency:percentile(99), summary.errors.status, summary.errors.connect + summary.errors.read +
		summary.errors.write + summary.errors.timeout))
end
