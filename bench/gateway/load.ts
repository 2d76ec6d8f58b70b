/** Asks one question over and over on so many connections at once, each asking again as soon as it has its answer. */
import type { Dispatcher } from "undici"
import { Pool } from "undici"
import type { Question } from "./scenario.js"

export interface Asked {
  /** In seconds. */
  readonly wall: number
  /** In milliseconds, sorted. */
  readonly latencies: ReadonlyArray<number>
}

export interface Target {
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
}

const lastWords = Buffer.from("data: [DONE]\n\n")

/** One answer, read to its end and looked at. */
const answered = (pool: Pool, { headers }: Target, question: Question): Promise<void> =>
  new Promise((resolve, reject) => {
    let status = 0
    let size = 0
    let last: Buffer = Buffer.alloc(0)
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => {},
      onResponseStart: (_controller, code) => {
        status = code
      },
      onResponseData: (_controller, data) => {
        size += data.length
        last = data
      },
      onResponseEnd: () => {
        const isWhole = question.streamed ? last.subarray(-lastWords.length).equals(lastWords) : size > 300
        if (status === 200 && isWhole) resolve()
        else reject(new Error(`answered ${status}, ${size} bytes: ${last.toString().slice(0, 500)}`))
      },
      onResponseError: (_controller, error) => reject(error)
    }
    pool.dispatch(
      { path: "/v1/chat/completions", method: "POST", headers: { ...headers }, body: question.body },
      handler
    )
  })

export const ask = async (
  target: Target,
  question: Question,
  { connections, requests }: { readonly connections: number; readonly requests: number }
): Promise<Asked> => {
  const pool = new Pool(target.origin, { connections, pipelining: 1 })
  const latencies: Array<number> = []
  let left = requests
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const begun = performance.now()
      await answered(pool, target, question)
      latencies.push(performance.now() - begun)
    }
  }
  const begun = performance.now()
  await Promise.all(Array.from({ length: connections }, worker))
  const wall = (performance.now() - begun) / 1000
  await pool.close()
  return { wall, latencies: latencies.toSorted((one, other) => one - other) }
}
