/** Compares contestants whose errors nobody catches, in a process of its own, and prints the results as JSON. */
import { EventEmitter } from "node:events"
import { compare } from "../../bench/measure.js"

const closed = () => Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET" })

/** Never ends, after a run that ends. */
const failing = (name: string, fail: () => void) => {
  let runs = 0
  return {
    name,
    run: (times: number): Promise<number> => {
      runs++
      return runs === 1 ? Promise.resolve(times) : new Promise<number>(() => setImmediate(fail))
    }
  }
}

const { results } = await compare(
  [
    failing("an error event without a listener", () => new EventEmitter().emit("error", closed())),
    failing("an unhandled rejection", () => void Promise.reject(closed())),
    { name: "steady", run: async (times: number) => times }
  ],
  { rounds: 2, times: 1 }
)
console.log(JSON.stringify(results))
