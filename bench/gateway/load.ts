/** Repeats one request on several connections, each of which sends the next request as soon as it has its answer. */
import type { Dispatcher } from "undici"
import { Pool } from "undici"
import type { Question } from "./scenario.js"

export interface LoadResult {
  /** In seconds. */
  readonly wall: number
  /** In milliseconds, sorted. */
  readonly latencies: ReadonlyArray<number>
  /** Milliseconds to the first byte of the body, sorted. */
  readonly firstBytes: ReadonlyArray<number>
  /** Milliseconds between two pieces of the body of one answer, sorted. Empty unless asked for. */
  readonly gaps: ReadonlyArray<number>
}

export interface Target {
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
}

export interface AskOptions {
  readonly requests: number
  /** Whether the time between the pieces of an answer is measured, at the expense of the load generator's CPU. */
  readonly gaps?: boolean
}

export interface Load {
  readonly ask: (options: AskOptions) => Promise<LoadResult>
  readonly close: () => Promise<void>
}

interface Times {
  readonly latencies: Array<number>
  readonly firstBytes: Array<number>
  /** Absent when gaps are not measured. */
  readonly gaps?: Array<number>
}

/** Sends one request, reads the answer to its end and checks it. */
const sendRequest = (
  pool: Pool,
  request: Dispatcher.DispatchOptions,
  { marker, streamed }: Question,
  times: Times
): Promise<void> =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now()
    let status = 0
    let size = 0
    // The last piece of a streamed answer, and all of a whole one.
    let last: Buffer = Buffer.alloc(0)
    let lastAt = 0
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => {},
      onResponseStart: (_controller, code) => {
        status = code
      },
      onResponseData: (_controller, data) => {
        if (size === 0) {
          lastAt = performance.now()
          times.firstBytes.push(lastAt - startedAt)
        } else if (times.gaps !== undefined) {
          const now = performance.now()
          times.gaps.push(now - lastAt)
          lastAt = now
        }
        last = streamed || size === 0 ? data : Buffer.concat([last, data])
        size += data.length
      },
      onResponseEnd: () => {
        if (status !== 200 || !last.includes(marker))
          return reject(new Error(`answered ${status}, ${size} bytes: ${last.toString().slice(0, 500)}`))
        times.latencies.push(performance.now() - startedAt)
        resolve()
      },
      onResponseError: (_controller, error) => reject(error)
    }
    pool.dispatch(request, handler)
  })

const sorted = (values: ReadonlyArray<number>): ReadonlyArray<number> => values.toSorted((one, other) => one - other)

/** Opens connections to a target, which are kept until `close`. */
export const connect = (target: Target, question: Question, connections: number): Load => {
  const pool = new Pool(target.origin, { connections, pipelining: 1 })
  const request: Dispatcher.DispatchOptions = {
    path: question.path,
    method: "POST",
    headers: { ...target.headers, ...question.headers },
    body: question.body
  }
  return {
    ask: async ({ gaps = false, requests }) => {
      const times: Times = { latencies: [], firstBytes: [], ...(gaps ? { gaps: [] } : {}) }
      let remaining = requests
      const worker = async (): Promise<void> => {
        while (remaining-- > 0) await sendRequest(pool, request, question, times)
      }
      const startedAt = performance.now()
      await Promise.all(Array.from({ length: connections }, worker))
      return {
        wall: (performance.now() - startedAt) / 1000,
        latencies: sorted(times.latencies),
        firstBytes: sorted(times.firstBytes),
        gaps: sorted(times.gaps ?? [])
      }
    },
    close: () => pool.close()
  }
}
