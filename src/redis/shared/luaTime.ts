/** The time as Redis has it, in milliseconds since the epoch with fractions: the only clock that all processes share. */
export const redisTime = `
local time = redis.call("TIME")
local now = time[1] * 1000 + time[2] / 1000
`
