-- guard.lua with a requestId for each authorize.  No two runs begin in one second.
with_ids = true
dofile("guard.lua")
