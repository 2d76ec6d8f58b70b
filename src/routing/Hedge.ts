/**
 * Asks a second time when the first answer is slow, and takes whichever comes first: for the few calls that take many times
 * as long as the others.
 *
 * The second request goes to another deployment, or to the same `LLM` again, where the pool picks the key that is least
 * busy. The answer that comes second is cancelled: its connection is closed and its key given back before the call ends. Of
 * a stream the first event decides. Extra requests are a bounded share of all, so that an overloaded provider is never asked
 * twice as often.
 *
 * @example
 * ```ts
 * import { Hedge, LLM } from "effect-llm"
 *
 * // The slowest of every twenty calls is asked again; at most one call in ten is.
 * const quick = LLM.layer({ model: "gpt-4o" }).pipe(LLM.withMiddleware(Hedge.make([], { after: "p95", maxShare: 0.1 })))
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Ref } from "effect"
import type { Duration, Scope } from "effect"
import * as Attempt from "../vocabulary/Attempt.js"
import * as Checks from "../internal/optionChecks.js"
import { hedged } from "./hedge/race.js"
import { fromStream, toStream, withEarlierAttempts } from "../call/openStream.js"
import type { OwnedStream } from "../call/ownedStream.js"
import { owned } from "../call/ownedStream.js"
import * as Requests from "../call/request.js"
import * as Percentile from "./hedge/percentile.js"
import type { Middleware, Service } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"

/**
 * When a second request is made, and how many of them there may be.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * How long the first is waited for alone: a time, or the time that 95 of the last 100 answers (of streams: first events)
   * took. Calls, streams and embeddings are measured apart. @default "p95"
   */
  readonly after?: Duration.DurationInput | "p95"
  /** With "p95": the shortest that it may become, and what it is while fewer than 20 were measured. @default "2 seconds" */
  readonly floor?: Duration.DurationInput
  /** The most extra requests for each call, from 0 to 1, in the long run and at any moment. @default 0.1 */
  readonly maxShare?: number
  /** How many unused extra requests may be saved up for a bad minute. @default 10 */
  readonly burst?: number
  /**
   * Whether a call that fails before its time is asked again at once, within the same share. It is better left to `Retry`
   * and `Fallback`. @default false
   */
  readonly onFailure?: boolean
}

/** Fewer say nothing of one in twenty. */
const enough = 20

/** How many of the latest are measured. */
const kept = 100

/** What adding up a share many times may be off by. */
const rounding = 1e-9

interface Timing {
  readonly after: Effect.Effect<number>
  readonly measured: (millis: number) => Effect.Effect<void>
}

interface Settings {
  /** In milliseconds, like `floor`. */
  readonly after: number | "p95"
  readonly floor: number
  readonly maxShare: number
  readonly burst: number
}

const settingsOf = (options: Options): Settings =>
  Checks.valid("Hedge", ({ millis, number }) => {
    const { after = "p95", burst = 10, maxShare = 0.1 } = options
    return {
      after: after === "p95" ? after : millis("after", after, Checks.anyLength),
      floor: millis("floor", options.floor ?? "2 seconds", Checks.anyLength),
      maxShare: number("maxShare", maxShare, Checks.isShare(maxShare), "a number from 0 to 1"),
      burst: number("burst", burst, burst >= 0, "a number of at least 0")
    }
  })

const timingOf = ({ after, floor }: Settings): Effect.Effect<Timing> => {
  if (after !== "p95") return Effect.succeed({ after: Effect.succeed(after), measured: () => Effect.void })
  return Effect.map(Ref.make(Percentile.none), (samples) => ({
    after: Effect.map(Ref.get(samples), (now) =>
      now.recent.length < enough ? floor : Math.max(floor, Percentile.at(now, 0.95) ?? floor)
    ),
    measured: (millis) => Ref.update(samples, (before) => Percentile.add(before, millis, kept))
  }))
}

/** Every call adds its share of an extra request; an extra request takes a whole one. */
const allowanceOf = ({ burst, maxShare }: Settings) =>
  Effect.map(Ref.make(0), (saved) => ({
    earn: Ref.update(saved, (before) => Math.min(burst, before + maxShare)),
    spend: Ref.modify(saved, (before): readonly [boolean, number] =>
      before >= 1 - rounding ? [true, Math.max(0, before - 1)] : [false, before]
    )
  }))

/**
 * The middleware: the `LLM` it is applied to, with the others beside it, which take the second requests in turn. Where there
 * are none, the same one is asked again.
 *
 * Put it outside of what belongs to one deployment (keys, retries, time limits) and inside of a `Fallback`. An answer's
 * receipt tells of both: the one that was cancelled has the error "Interrupted" and no key. When both fail, the error is the
 * first one's. What a cancelled request had consumed is not in the answer's `usage`.
 *
 * A model that a request names is the first one's: others answer with their own.
 *
 * @throws TypeError where an option makes no sense
 * @since 0.1.0
 * @category constructors
 */
export const make = (others: ReadonlyArray<Service>, options: Options = {}): Middleware => {
  const settings = settingsOf(options)
  return (next) =>
    Effect.gen(function* () {
      const timings = yield* Effect.all({
        chat: timingOf(settings),
        stream: timingOf(settings),
        embed: timingOf(settings)
      })
      const allowance = yield* allowanceOf(settings)
      const turn = yield* Ref.make(0)
      const another = Effect.map(
        Ref.getAndUpdate(turn, (before) => (others.length === 0 ? 0 : (before + 1) % others.length)),
        (index) => others[index] ?? next
      )
      const onFailure = options.onFailure ?? false

      const call = <A, R>(
        timing: Timing,
        ask: (llm: Service) => Effect.Effect<A, LLMError, R>,
        withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A,
        discard: (result: A) => Effect.Effect<void>
      ): Effect.Effect<A, LLMError, R> => {
        const runner = (llm: Service) => ({ info: llm.info, call: ask(llm) })
        return Effect.flatMap(Effect.zipRight(allowance.earn, timing.after), (after) =>
          hedged({
            first: runner(next),
            second: Effect.map(another, runner),
            after,
            mayHedge: allowance.spend,
            onFailure,
            measured: timing.measured,
            withEarlier,
            discard
          })
        )
      }

      const nothingHeld = () => Effect.void

      return {
        ...next,
        chat: (request) =>
          call(
            timings.chat,
            (llm) => llm.chat(llm === next ? request : Requests.withoutModel(request)),
            Attempt.withEarlier,
            nothingHeld
          ),
        embed: (request) =>
          call(
            timings.embed,
            (llm) => llm.embed(llm === next ? request : Requests.embeddingWithoutModel(request)),
            Attempt.withEarlier,
            nothingHeld
          ),
        chatStream: (request) =>
          toStream(
            Effect.map(
              call<OwnedStream, Scope.Scope>(
                timings.stream,
                (llm) => owned(fromStream(llm.chatStream(llm === next ? request : Requests.withoutModel(request)))),
                ({ close, opened }, earlier) => ({ opened: withEarlierAttempts(opened, earlier), close }),
                ({ close }) => close
              ),
              ({ opened }) => opened
            )
          )
      }
    })
}
