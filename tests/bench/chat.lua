-- wrk's script: each request is a chat completion.  Arguments: key, 1 for a stream.
-- meter.py's provider streams what is asked for in 1,000 bytes or more.
dofile("done.lua")

local body = "{\"model\":\"gpt-4o\",\"max_tokens\":200,%s\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}"

function init(arguments)
	wrk.method = "POST"
	wrk.headers["Authorization"] = "Bearer " .. arguments[1]
	wrk.headers["Content-Type"] = "application/json"
	wrk.body = arguments[2] == "1" and body:format("\"stream\":true,", ("word "):rep(300)) or body:format("", ("word "):rep(100))
end
