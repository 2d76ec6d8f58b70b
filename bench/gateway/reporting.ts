/**
 * Loaded before a contestant: sends the CPU time and memory of its process to the benchmark on request. With `collect`, garbage is
 * collected before, and the heap in use is sent as well.
 */
process.on("message", (message) => {
  if (message !== "usage" && message !== "collect") return
  const { rss } = process.memoryUsage()
  const isCollected = message === "collect" && globalThis.gc !== undefined
  if (isCollected) globalThis.gc?.()
  const { system, user } = process.cpuUsage()
  process.send?.({ cpu: system + user, rss, ...(isCollected ? { heap: process.memoryUsage().heapUsed } : {}) })
})
