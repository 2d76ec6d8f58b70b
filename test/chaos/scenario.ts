/**
 * What happens in a chaos run, told beforehand: who is well when, what goes wrong with which request, and what callers do. All
 * of it follows from the seed and the number of the call, whatever the clock does.
 */
import * as Arr from "effect/Array"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import { textOf } from "../../src/vocabulary/Chat.js"
import * as RandomDraw from "../../src/internal/random.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Usage from "../../src/vocabulary/Usage.js"

export interface Plan {
  readonly calls: number
  readonly seed: number
}

export const deployments = ["chat-completions", "responses", "anthropic", "gemini", "ollama"] as const

export type Deployment = (typeof deployments)[number]

/** A stretch of calls. Faults strike the given share of the requests to all but the deployment that is well. */
export interface Phase {
  readonly name: string
  readonly share: number
  readonly well: Deployment | undefined
  readonly faults: number
}

const phases = (calls: number): ReadonlyArray<Phase> => [
  { name: "calm", share: 0.15, well: "chat-completions", faults: 0.1 },
  { name: "storm", share: 0.2, well: "responses", faults: 0.5 },
  { name: "one is left", share: 0.1, well: "anthropic", faults: 1 },
  { name: "storm from elsewhere", share: 0.15, well: "gemini", faults: 0.6 },
  { name: "nobody is left", share: Math.min(0.02, 60 / calls), well: undefined, faults: 1 },
  { name: "recovery", share: 0.13, well: "ollama", faults: 0.3 },
  { name: "another is left", share: 0.1, well: "chat-completions", faults: 1 },
  { name: "calm again", share: 0.15, well: "anthropic", faults: 0.1 }
]

export const phaseOf = ({ calls }: Plan, call: number): Phase => {
  const all = phases(calls)
  const whole = all.reduce((sum, { share }) => sum + share, 0)
  let end = 0
  for (const phase of all) {
    end += (phase.share / whole) * calls
    if (call < end) return phase
  }
  throw new Error(`there is no call ${call} of ${calls}`)
}

/**
 * The most that a call may take, in milliseconds. Where nobody can answer, nobody needs to wait for long to see it; elsewhere the
 * deadline leaves room for all attempts on a busy machine.
 */
export const deadlineOf = (plan: Plan, call: number): number =>
  phaseOf(plan, call).well === undefined ? deadlines.short : deadlines.long

export const deadlines = { short: 3000, long: 100_000 }

/** Draws for one purpose, the same ones each time. */
const dice = (...about: ReadonlyArray<number>): (() => number) => {
  let state = about.reduce(
    (mixed, number) => Math.imul(mixed ^ RandomDraw.next(number), 0x9e3779b1) ^ (mixed >>> 15),
    7
  )
  return () => {
    state = RandomDraw.next(state)
    return RandomDraw.uniform(state)
  }
}

// -------------------------------------------------------------------------------------
// keys
// -------------------------------------------------------------------------------------

export const secretMark = "sk-chaos-canary"

/** Four of each deployment: one good, one with a limit, one revoked, one without money. */
export const keysOf = (deployment: Deployment): Arr.NonEmptyReadonlyArray<SimulatedProvider.SimulatedKey> => {
  const secret = (kind: string) => `${secretMark}-${deployment}-${kind}`
  return [
    { key: secret("good") },
    { key: secret("limited"), limit: { requests: 30, per: "500 millis" } },
    { key: secret("revoked"), revoked: true },
    { key: secret("poor"), outOfQuota: true }
  ]
}

// -------------------------------------------------------------------------------------
// requests and answers
// -------------------------------------------------------------------------------------

export const question = (call: number): string => `Question #${call}# of many.`

const number = /#(\d+)#/

/** The number of the call that a request is of, from anything that its text is in. */
export const callOf = (text: string): number => Number(number.exec(text)?.[1] ?? -1)

/** What is answered to a call. */
export const answerTo = (call: number): string =>
  Arr.makeBy(5 + (call % 3), (index) => `${["red", "green", "blue"][index % 3] ?? ""}${call * 31 + index}`).join(" ")

/** What the provider says that an answer took. */
export const told = (call: number): Usage.Usage =>
  Usage.make({ inputTokens: 20 + (call % 13), outputTokens: 5 + (call % 7) })

/** The answer, or what is left of it where the request has its beginning. */
export const answer = (request: ChatRequest) => {
  const [first] = request.messages
  const call = callOf(first === undefined ? "" : textOf(first.content))
  const said = request.messages
    .filter((message) => message.role === "assistant")
    .map((message) => textOf(message.content))
    .join("")
  return { text: answerTo(call).slice(said.length), usage: told(call) }
}

// -------------------------------------------------------------------------------------
// callers
// -------------------------------------------------------------------------------------

/**
 * How a caller asks: for a whole answer, for a stream, or for one that is continued elsewhere where it breaks. `leaves`: is
 * interrupted after so many milliseconds. `first`: takes the first event and goes. `slow`: dawdles over every piece.
 */
export interface Manner {
  readonly asks: "whole" | "stream" | "continued"
  readonly does: "waits" | "leaves" | "first" | "slow"
  readonly millis: number
}

export const mannerOf = ({ seed }: Plan, call: number): Manner => {
  const draw = dice(seed, call, 1)
  const asked = draw()
  const asks = asked < 0.55 ? "whole" : asked < 0.8 ? "stream" : "continued"
  const done = draw()
  if (done < 0.12) return { asks, does: "leaves", millis: draw() ** 2 * 200 }
  if (asks !== "whole" && done < 0.2) return { asks, does: "first", millis: 0 }
  return asks !== "whole" && done < 0.3
    ? { asks, does: "slow", millis: draw() * 4 }
    : { asks, does: "waits", millis: 0 }
}

// -------------------------------------------------------------------------------------
// faults
// -------------------------------------------------------------------------------------

const S = SimulatedProvider

type Fault = SimulatedProvider.Fault

/** Each with its weight; `after` is where in a stream it strikes. */
const faults: ReadonlyArray<readonly [number, (after: number) => Fault]> = [
  [3, () => S.status(500)],
  [3, () => S.status(503)],
  [1, () => S.status(503, { retryAfter: "80 millis" })],
  [1, () => S.status(529)],
  [2, () => S.status(429)],
  [2, () => S.status(429, { retryAfter: "120 millis" })],
  [1, () => S.status(401, { code: "invalid_api_key" })],
  [1, () => S.status(402, { code: "insufficient_credits" })],
  [2, () => S.reset()],
  [2, (after) => S.reset(after)],
  [0.3, () => S.hang()],
  [0.3, (after) => S.hang(after)],
  [2, (after) => S.truncate(after)],
  [1, () => S.garbage],
  [1, (after) => S.brokenEvent(after)]
]

/** An error in the middle of nothing would be an answer like any other. */
const streamFaults: typeof faults = [...faults, [2, (after) => S.errorEvent(after)]]

const chosen = (from: typeof faults, draw: number, after: number): Fault | undefined => {
  let left = draw * from.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, fault] of from) {
    left -= weight
    if (left < 0) return fault(after)
  }
  return undefined
}

/**
 * What goes wrong with a request: `visit` counts those that the deployment has had from this call before. A stream always breaks
 * before its last word: one that breaks behind it is as good as whole, and what is left of an answer may be one word.
 */
export const faultOf = (
  plan: Plan,
  deployment: Deployment,
  { call, isRest, visit }: { readonly call: number; readonly visit: number; readonly isRest: boolean }
): Fault | undefined => {
  const phase = phaseOf(plan, call)
  const draw = dice(plan.seed, call, deployments.indexOf(deployment), visit, 2)
  if (phase.well === deployment || draw() >= phase.faults) return draw() < 0.002 ? S.drip : undefined
  const after = isRest ? 1 : 1 + Math.floor(draw() * 4)
  return chosen(mannerOf(plan, call).asks === "whole" ? faults : streamFaults, draw(), after)
}
