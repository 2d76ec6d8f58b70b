/** A task with scripted durations and failures, which counts how often each request was asked. */
import { Duration, Effect, Option, Schema } from "effect"
import * as Batch from "../../src/programs/Batch.js"

export class Failed extends Schema.TaggedError<Failed>()("Failed", {
  request: Schema.Number,
  retryable: Schema.Boolean,
  retryAfter: Schema.optionalWith(Schema.Number, { exact: true })
}) {}

export interface Script {
  /** The duration of a request, in milliseconds. @default 0 */
  readonly takes?: (request: number) => number
  /** The failure of the `time`-th attempt of a request, counted from 1. @default none */
  readonly fails?: (request: number, time: number) => Failed | undefined
}

export const scripted = ({ fails, takes }: Script = {}) => {
  const asked = new Map<number, number>()
  const answered = new Map<number, number>()
  const task = Batch.makeTask({
    name: "double",
    ask: (request: number) =>
      Effect.gen(function* () {
        const time = (asked.get(request) ?? 0) + 1
        asked.set(request, time)
        if (takes !== undefined) yield* Effect.sleep(takes(request))
        const failure = fails?.(request, time)
        if (failure !== undefined) return yield* failure
        answered.set(request, (answered.get(request) ?? 0) + 1)
        return request * 2
      }),
    success: Schema.Number,
    failure: Failed,
    isRetryable: (error) => error.retryable,
    retryAfter: (error) => Option.map(Option.fromNullable(error.retryAfter), Duration.millis),
    tokensOf: (answer) => answer
  })
  return { task, asked, answered }
}
