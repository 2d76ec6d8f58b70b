/**
 * Sends a second request when the first answer is slow, and returns the answer that comes first: for the few calls that take many
 * times as long as the others.
 *
 * The second request goes to another deployment, or to the same `LLM` again, whose pool picks the least busy key. The slower
 * request is cancelled: its connection is closed and its key given back before the call ends. For a stream the first event
 * decides. Extra requests are a bounded share of all, so that an overloaded provider does not get twice the calls.
 *
 * @example
 * ```ts
 * import { Hedge, LLM } from "effect-llm"
 *
 * // The slowest of every twenty calls is sent again, and at most one call in ten.
 * const quick = LLM.layer({ model: "gpt-4o" }).pipe(LLM.withMiddleware(Hedge.make([], { delay: "p95", maxExtraLoad: 0.1 })))
 * ```
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Duration } from "effect"
import * as Attempt from "../vocabulary/attempt.js"
import * as Checks from "../internal/optionChecks.js"
import { hedge } from "./hedge/race.js"
import type { Limits } from "../call/limits.js"
import { fromStream, toStream, withEarlierAttempts } from "../call/openStream.js"
import type { OwnedStream } from "../call/ownedStream.js"
import { owned } from "../call/ownedStream.js"
import { embeddingFamily, embeddingModelOf } from "../call/embeddingFamily.js"
import * as Requests from "../call/request.js"
import { limitFor } from "../call/requestLimit.js"
import type { Send } from "../call/sending.js"
import { forRequest } from "../call/added.js"
import { fromEffect, run, sendChat, toChat } from "../call/sending.js"
import { sharedInfo, wrap } from "../call/wrap.js"
import * as Percentile from "./hedge/percentile.js"
import type { Middleware, Service } from "../call/model.js"

/**
 * When a second request is sent, and how many of them.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * The delay before the second request: a time, or the 95th percentile of the last 100 answers (of streams: first events).
   * Calls, streams and embeddings are measured separately. @default "p95"
   */
  readonly delay?: Duration.DurationInput | "p95"
  /** With "p95": the shortest delay, and the delay until 20 answers are measured. @default "2 seconds" */
  readonly minDelay?: Duration.DurationInput
  /** The most extra requests as a share of all calls so far, from 0 to 1. @default 0.1 */
  readonly maxExtraLoad?: number
  /** How many unused extra requests are saved up at most. @default 10 */
  readonly burst?: number
  /**
   * Whether the second request is sent at once when the first fails before the delay, within the same share. `Retry` and
   * `Fallback` are usually better for this. @default false
   */
  readonly onFailure?: boolean
}

/** A 95th percentile needs at least 20 samples. */
const minSamples = 20

const maxSamples = 100

/** The rounding error of a share that is added many times. */
const roundingError = 1e-9

interface Timing {
  readonly delay: () => number
  readonly recordLatency: (millis: number) => void
}

interface CheckedOptions {
  /** In milliseconds, as `minDelay`. */
  readonly delay: number | "p95"
  readonly minDelay: number
  readonly maxExtraLoad: number
  readonly burst: number
}

const checkOptions = (options: Options): CheckedOptions =>
  Checks.valid("Hedge", ({ millis, number }) => {
    const { delay = "p95", burst = 10, maxExtraLoad = 0.1 } = options
    return {
      delay: delay === "p95" ? delay : millis("delay", delay, Checks.anyLength),
      minDelay: millis("minDelay", options.minDelay ?? "2 seconds", Checks.anyLength),
      maxExtraLoad: number("maxExtraLoad", maxExtraLoad, Checks.isShare(maxExtraLoad), "a number from 0 to 1"),
      burst: number("burst", burst, burst >= 0, "a number of at least 0")
    }
  })

const makeTiming = ({ delay, minDelay }: CheckedOptions): Timing => {
  if (delay !== "p95") return { delay: () => delay, recordLatency: () => {} }
  const samples = Percentile.make(maxSamples)
  return {
    delay: () => (samples.size() < minSamples ? minDelay : Math.max(minDelay, samples.at(0.95) ?? minDelay)),
    recordLatency: samples.add
  }
}

/** Limits extra requests to a share of the calls: each call adds its share of a permit, an extra request takes a whole one. */
const makePermits = ({ burst, maxExtraLoad }: CheckedOptions) => {
  let permits = 0
  return {
    addShare: (): void => {
      permits = Math.min(burst, permits + maxExtraLoad)
    },
    take: (): boolean => {
      if (permits < 1 - roundingError) return false
      permits = Math.max(0, permits - 1)
      return true
    }
  }
}

/**
 * Makes a middleware: first requests go to the `LLM` that it is applied to, second requests to the others in turn, or to the same
 * `LLM` if there are none.
 *
 * Apply it outside of what belongs to one deployment (keys, retries, time limits) and inside of a `Fallback`. The `attempts` of
 * an answer contain both requests: the cancelled one has the error "Interrupted" and no key. When both fail, the error is that of
 * the first. The usage of a cancelled request is not in the answer's `usage`.
 *
 * A model named in a request goes to the first `LLM` only: the others use their own model. Texts are embedded by those of the same family
 * (`LLM.Options.embeddingFamily`), or twice by the first one.
 *
 * @example
 * ```ts
 * import { Hedge, LLM } from "effect-llm"
 *
 * declare const second: LLM.Service
 *
 * // A call without an answer after 2 seconds is sent to the second `LLM` too; the first answer wins.
 * const Hedged = LLM.layerConfig().pipe(LLM.withMiddleware(Hedge.make([second], { delay: "2 seconds" })))
 * ```
 *
 * @throws TypeError if an option is invalid
 * @since 0.1.0
 * @category constructors
 */
export const make = (others: ReadonlyArray<Service>, options: Options = {}): Middleware => {
  const checked = checkOptions(options)
  return (next) =>
    Effect.sync(() => {
      const timings = { chat: makeTiming(checked), stream: makeTiming(checked), embed: makeTiming(checked) }
      const permits = makePermits(checked)
      let nextIndex = 0
      const nextOther = (): Service => {
        const other = others[nextIndex] ?? next
        nextIndex = others.length === 0 ? 0 : (nextIndex + 1) % others.length
        return other
      }
      /** One with vectors of the same family, else the `LLM` itself. */
      const nextOfFamily = (family: string): Service => {
        for (let tried = 0; tried < others.length; tried++) {
          const other = nextOther()
          if (embeddingFamily(other.info) === family) return other
        }
        return next
      }
      const onFailure = options.onFailure ?? false
      const currentInfo = sharedInfo(next, others)

      const call = <A, R>(
        timing: Timing,
        send: (llm: Service) => Send<A, R>,
        withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A,
        discard: (result: A) => Effect.Effect<void>,
        other: () => Service = nextOther
      ): Send<A, R> => {
        const requestTo = (llm: Service, outer: Limits, left: number | undefined) => ({
          info: llm.info,
          send: send(llm),
          limits: left === undefined ? outer : { ...outer, requests: { info: llm.info, left, earlier: [] } }
        })
        const hedged = hedge((limits) => {
          const left = limitFor(limits.requests, currentInfo())?.left
          permits.addShare()
          return {
            first: requestTo(next, limits, left === undefined ? undefined : left - 1),
            second: () => requestTo(other(), limits, 1),
            delay: timing.delay(),
            takePermit: permits.take,
            onFailure,
            recordLatency: timing.recordLatency,
            withEarlier,
            discard
          }
        })
        return (fiber, limits) => {
          const left = limitFor(limits.requests, currentInfo())?.left
          if (left === undefined || left >= 2) return hedged(fiber, limits)
          permits.addShare()
          return send(next)(fiber, limits)
        }
      }

      const discardNothing = () => Effect.void

      return wrap(next, {
        get info() {
          return currentInfo()
        },
        chat: toChat((input, added) =>
          call(
            timings.chat,
            (llm) =>
              llm === next
                ? sendChat(llm, input, added)
                : sendChat(
                    llm,
                    Requests.withoutModel(input),
                    forRequest(added, added.request && Requests.omitModel(added.request))
                  ),
            Attempt.withEarlier,
            discardNothing
          )
        ),
        embed: (request) =>
          run(
            call(
              timings.embed,
              (llm) =>
                fromEffect(
                  Effect.suspend(() => llm.embed(llm === next ? request : Requests.embeddingWithoutModel(request)))
                ),
              Attempt.withEarlier,
              discardNothing,
              () => nextOfFamily(embeddingFamily(next.info, embeddingModelOf(request)))
            )
          ),
        chatStream: (request) =>
          toStream((finalizers) =>
            Effect.map(
              run(
                call<OwnedStream, never>(
                  timings.stream,
                  (llm) =>
                    fromEffect(
                      owned((inner) =>
                        fromStream(llm.chatStream(llm === next ? request : Requests.withoutModel(request)))(inner)
                      )(finalizers)
                    ),
                  ({ close, opened }, earlier) => ({ opened: withEarlierAttempts(opened, earlier), close }),
                  ({ close }) => close
                )
              ),
              ({ opened }) => opened
            )
          )
      })
    })
}
