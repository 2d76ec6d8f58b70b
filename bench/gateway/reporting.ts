/** Loaded before a contestant: tells the benchmark what its process has used. */
process.on("message", (message) => {
  if (message !== "usage") return
  const { system, user } = process.cpuUsage()
  process.send?.({ cpu: system + user, rss: process.memoryUsage.rss() })
})
