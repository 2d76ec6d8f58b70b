/** A provider in memory that records when each request was sent, and bounds of what was sent. */
import { Duration, Effect, Stream } from "effect"
import * as Events from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { RateLimitError } from "../../src/vocabulary/LLMError.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { Call, Service as Client } from "../../src/wire/providerClient.js"
import { ProviderClient } from "../../src/wire/providerClient.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { answer, context } from "./scripted.js"

/** One request, with times in milliseconds. */
export interface Sent {
  readonly at: number
  readonly keyId: string
  readonly model: string
  readonly inFlight: number
  /** Whether the provider answers it, and does not refuse it. */
  readonly isServed: boolean
}

/** How the provider answers a request: after `millis`, with an answer or with a 429 and a Retry-After. */
export interface Reply {
  readonly millis: number
  readonly retryAfter?: Duration.DurationInput
  /** Input and output tokens of the answer together. @default 7 */
  readonly tokens?: number
}

export interface CountingProvider {
  readonly client: Client
  readonly sent: ReadonlyArray<Sent>
}

/** `reply` receives the number of the request, from 0 on, and its call. */
export const countingProvider = (reply: (index: number, call: Call) => Reply): CountingProvider => {
  const sent: Array<Sent> = []
  let inFlight = 0
  const ask = (call: Call) =>
    Effect.acquireUseRelease(
      Effect.clockWith((clock) =>
        Effect.sync(() => {
          const answer = reply(sent.length, call)
          inFlight++
          sent.push({
            at: Number(clock.unsafeCurrentTimeNanos()) / 1e6,
            keyId: call.key.id,
            model: call.model,
            inFlight,
            isServed: answer.retryAfter === undefined
          })
          return answer
        })
      ),
      ({ millis, retryAfter, tokens = 7 }): Effect.Effect<ReturnType<typeof answer>, LLMError> =>
        Effect.zipRight(
          Effect.sleep(millis),
          retryAfter === undefined
            ? Effect.succeed({ ...answer("yes"), usage: Usage.make({ inputTokens: 1, outputTokens: tokens - 1 }) })
            : Effect.fail(
                new RateLimitError({
                  ...context,
                  status: 429,
                  source: "provider",
                  message: "slow down",
                  retryAfter: Duration.decode(retryAfter)
                })
              )
        ),
      () => Effect.sync(() => void inFlight--)
    )
  return {
    sent,
    client: {
      provider: "test",
      wire: "test",
      chat: (_, call) => ask(call),
      chatStream: (_, call) =>
        Stream.unwrap(Effect.map(ask(call), (whole) => Stream.fromIterable(Events.fromResponse(whole))))
    }
  }
}

/** An `LLM` of this provider, pool and limiter, without retries and time limits. */
export const llmOf = (client: Client, pool: KeyPool.Service, limiter: RateLimiter.Service) =>
  LLM.make({ model: "model", timeouts: false, retry: false }).pipe(
    Effect.provideService(ProviderClient, client),
    Effect.provideService(KeyPool.KeyPool, pool),
    Effect.provideService(RateLimiter.RateLimiter, limiter)
  )

/** The greatest excess over `capacity + perSecond × t`, over every window of time `t`. */
export const excess = (sent: ReadonlyArray<Sent>, capacity: number, perSecond: number): number => {
  let most = -Infinity
  for (const [first, { at: start }] of sent.entries()) {
    for (let last = first; last < sent.length; last++) {
      const end = sent[last]?.at ?? start
      most = Math.max(most, last - first + 1 - capacity - (perSecond * (end - start)) / 1000)
    }
  }
  return most
}

/** The most requests in any window that is shorter than `millis`. */
export const mostWithin = (sent: ReadonlyArray<Sent>, millis: number): number =>
  Math.max(0, ...sent.map(({ at: start }) => sent.filter(({ at }) => at >= start && at < start + millis).length))
