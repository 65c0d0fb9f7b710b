-- wrk's script: what an account has, asked for one account after another at random.
-- Arguments: key, number of accounts.
dofile("done.lua")

local accounts

function init(arguments)
	wrk.headers["Authorization"] = "Bearer " .. arguments[1]
	accounts = tonumber(arguments[2])
	math.randomseed(os.time())
end

function request()
	return wrk.format("GET", "/api/credits?account=bench:" .. math.random(accounts))
end
