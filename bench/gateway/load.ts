/** Repeats one request on several connections, each of which sends the next request as soon as it has its answer. */
import type { Dispatcher } from "undici"
import { Pool } from "undici"
import type { Question } from "./scenario.js"

export interface LoadResult {
  /** In seconds. */
  readonly wall: number
  /** In milliseconds, sorted. */
  readonly latencies: ReadonlyArray<number>
}

export interface Target {
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
}

const endOfStream = Buffer.from("data: [DONE]\n\n")

/** Sends one request, reads the answer to its end and checks it. */
const sendRequest = (pool: Pool, { headers }: Target, question: Question): Promise<void> =>
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
        const isWhole = question.streamed ? last.subarray(-endOfStream.length).equals(endOfStream) : size > 300
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
): Promise<LoadResult> => {
  const pool = new Pool(target.origin, { connections, pipelining: 1 })
  const latencies: Array<number> = []
  let remaining = requests
  const worker = async (): Promise<void> => {
    while (remaining-- > 0) {
      const startedAt = performance.now()
      await sendRequest(pool, target, question)
      latencies.push(performance.now() - startedAt)
    }
  }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: connections }, worker))
  const wall = (performance.now() - startedAt) / 1000
  await pool.close()
  return { wall, latencies: latencies.toSorted((one, other) => one - other) }
}
