/** Loaded before a contestant: sends the CPU time and memory of its process to the benchmark on request. */
process.on("message", (message) => {
  if (message !== "usage") return
  const { system, user } = process.cpuUsage()
  process.send?.({ cpu: system + user, rss: process.memoryUsage.rss() })
})
