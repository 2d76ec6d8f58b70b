/**
 * Measures costs in one run: `npm run bench`. Compare the ratios; the absolute values depend on the machine.
 *
 * Everything is compiled before, like a program that uses the package. The provider runs in its own process, so that only the
 * client's work is counted.
 */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { importTimes } from "./imports.js"
import { compare, print, printAdded } from "./measure.js"
import { all, chats, streams } from "./peers.js"
import { limiterTakes, poolLeases } from "./pieces.js"
import { production } from "./production.js"
import { withRedis } from "./redis.js"
import { bundleSizes } from "./size.js"
import { wireCosts } from "./wires.js"

const server = fork(fileURLToPath(new URL("server.js", import.meta.url)), { execArgv: [] })
const port = await new Promise<number>((resolve) => {
  server.once("message", (message) => resolve(Number(message)))
})
const peers = all(`http://127.0.0.1:${port}/v1`)

console.log(`Node ${process.version}, ${process.platform} ${process.arch}`)
print("A chat", await compare(peers.map(chats), { rounds: 6, times: 1000 }), ["undici", "openai"])
print("A streamed chunk", await compare(peers.map(streams), { rounds: 6, times: 8 }), ["undici", "openai"])
for (const peer of peers) await peer.close()
server.kill()

print("Lease and release of a key", await compare(poolLeases, { rounds: 5, times: 20_000 }), ["3 keys"])
print("Permit taken", await compare(limiterTakes, { rounds: 5, times: 20_000 }), [])

await printAdded("What production adds to a call, in memory", production, { rounds: 5, times: 2000 })

await withRedis(async (contestants) =>
  print("Operations shared through Redis", await compare(contestants, { rounds: 5, times: 2000 }), ["plain round trip"])
)

console.log("\nA frame of a stream decoded, in memory")
console.log(
  ["", "CPU µs", "JSON.parse µs", "ratio"]
    .map((cell, column) => (column === 0 ? cell.padEnd(44) : cell.padStart(18)))
    .join("")
)
for (const { decode, name, parse } of await wireCosts()) {
  const cells = [decode.toFixed(2), parse.toFixed(2), (decode / parse).toFixed(2)]
  console.log(name.padEnd(44) + cells.map((cell) => cell.padStart(18)).join(""))
}

console.log("\nBundled for a browser, minified and gzipped")
for (const { bytes, name } of await bundleSizes())
  console.log(`${name.padEnd(44)}${(bytes / 1024).toFixed(1).padStart(12)} kB`)

console.log("\nCold import, the best of five")
for (const { milliseconds, name } of importTimes())
  console.log(`${name.padEnd(44)}${milliseconds.toFixed(0).padStart(12)} ms`)
