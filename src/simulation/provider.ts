/** Providers behind an `HttpClient` without a network: they answer in virtual time, in the protocol of the request. */
import type { HttpClientError, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { HttpClient } from "@effect/platform"
import { Context, Effect } from "effect"
import { CurrentWatch } from "../call/attemptWatch.js"
import * as SlidingWindow from "../internal/slidingWindow.js"
import { chatAt } from "../testing/simulatedProtocols.js"
import { response as answer } from "../testing/TestLLM.js"
import * as Usage from "../vocabulary/Usage.js"
import type { ProviderSettings } from "./options.js"
import * as Draws from "./random.js"
import { CurrentCall } from "./recorder.js"
import type { VirtualTime } from "./virtualTime.js"
import { WholeResponse } from "./wholeResponse.js"

/** The windows of one account with one model. */
interface Account {
  requests: SlidingWindow.SlidingWindow | undefined
  tokens: SlidingWindow.SlidingWindow | undefined
}

/** The milliseconds until the account may send this; counts it when there are none. */
const consume = (account: Account, tokens: number, now: number): number => {
  const at = (window: SlidingWindow.SlidingWindow | undefined) => window && SlidingWindow.expire(window, now)
  const windows = { requests: at(account.requests), tokens: at(account.tokens) }
  const opens = (window: SlidingWindow.SlidingWindow | undefined, amount: number): number =>
    window === undefined ? -Infinity : SlidingWindow.opensAt(window, amount)
  const opensAt = Math.max(opens(windows.requests, 1), opens(windows.tokens, tokens))
  const isOpen = opensAt <= now
  account.requests = windows.requests && (isOpen ? SlidingWindow.take(windows.requests, 1) : windows.requests)
  account.tokens = windows.tokens && (isOpen ? SlidingWindow.take(windows.tokens, tokens) : windows.tokens)
  return isOpen ? 0 : opensAt - now
}

/** A request that the limits never allow is refused for one period, as by providers. */
const longest = (wait: number, per: number): number => (wait === Infinity ? per : wait)

const notFound = 404

const shortAnswer = answer({ text: "ok" })

/** `accountOf`: the account of a key, by the provider and the id of the key. */
export const make = (
  { latency, outages, per, perOutputToken, requests, tokens }: ProviderSettings,
  seed: number,
  time: VirtualTime,
  accountOf: (provider: string, keyId: string) => string
): HttpClient.HttpClient => {
  const draws = Draws.make(seed, "providers")
  const accounts = new Map<string, Account>()
  const accountFor = (provider: string, keyId: string, model: string): Account => {
    const name = JSON.stringify([provider, accountOf(provider, keyId), model])
    const known = accounts.get(name)
    if (known !== undefined) return known
    const window = (limit: number) =>
      limit === Infinity ? undefined : SlidingWindow.make(limit, per, time.now(), Infinity)
    const account: Account = { requests: window(requests), tokens: window(tokens) }
    accounts.set(name, account)
    return account
  }

  const respond = (
    request: HttpClientRequest.HttpClientRequest
  ): Effect.Effect<HttpClientResponse.HttpClientResponse> =>
    Effect.contextWithEffect((context: Context.Context<never>) => {
      const send = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
        new WholeResponse(request, status, { "content-type": "application/json", ...headers }, JSON.stringify(body))
      const wire = chatAt(request.url.split("?", 1)[0] ?? "")
      const call = Context.get(context, CurrentCall)
      const running = Context.get(context, CurrentWatch)?.running
      // Only chats of the workload are simulated.
      if (wire === undefined || call === undefined || running === undefined) {
        return Effect.succeed(send(notFound, { error: { message: "Only chats are simulated.", code: "not_found" } }))
      }
      const { keyId, model, provider } = running
      const now = time.now()
      const refuse = (status: number, message: string, code: string, headers?: Readonly<Record<string, string>>) => {
        if (status === 429) call.rateLimited()
        return Effect.succeed(send(status, wire.encodeError({ status, message, code }), headers))
      }
      const outage = outages.find(
        (each) =>
          now >= each.from &&
          now < each.to &&
          (each.provider ?? provider) === provider &&
          (each.model ?? model) === model &&
          (each.key ?? keyId) === keyId
      )
      if (outage !== undefined) return refuse(outage.status, `Simulated ${outage.status}.`, "simulated")
      const { inputTokens, outputTokens } = call.arrival
      const wait = consume(accountFor(provider, keyId, model), inputTokens + outputTokens, now)
      if (wait > 0) {
        const retryAfter = Math.ceil(longest(wait, per)) / 1000
        return refuse(429, "Rate limit reached.", "rate_limit_exceeded", { "retry-after": String(retryAfter) })
      }
      const millis = draws.logNormal(latency) + perOutputToken * outputTokens
      const usage = Usage.make({ inputTokens, outputTokens })
      const body = () => wire.encodeResponse({ ...shortAnswer, model, usage })
      return Effect.map(Effect.sleep(millis), () => send(200, body()))
    })
  return HttpClient.makeWith<HttpClientError.HttpClientError, never, HttpClientError.HttpClientError, never>(
    (request) => Effect.flatMap(request, respond),
    Effect.succeed
  )
}
