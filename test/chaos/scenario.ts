/**
 * The script of a chaos run: which deployment is healthy when, the fault of each request, and the behavior of callers. All of it
 * depends only on the seed and the number of the call, and not on the clock.
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

/** A range of calls. Faults hit the given share of the requests to all deployments except the healthy one. */
export interface Phase {
  readonly name: string
  readonly share: number
  readonly healthy: Deployment | undefined
  readonly faults: number
}

const phases = (calls: number): ReadonlyArray<Phase> => [
  { name: "calm", share: 0.15, healthy: "chat-completions", faults: 0.1 },
  { name: "storm", share: 0.2, healthy: "responses", faults: 0.5 },
  { name: "one healthy", share: 0.1, healthy: "anthropic", faults: 1 },
  { name: "second storm", share: 0.15, healthy: "gemini", faults: 0.6 },
  { name: "outage", share: Math.min(0.02, 60 / calls), healthy: undefined, faults: 1 },
  { name: "recovery", share: 0.13, healthy: "ollama", faults: 0.3 },
  { name: "another healthy", share: 0.1, healthy: "chat-completions", faults: 1 },
  { name: "calm again", share: 0.15, healthy: "anthropic", faults: 0.1 }
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
 * The deadline of a call, in milliseconds: short in an outage, where every call fails, and otherwise long enough for all attempts
 * on a busy machine.
 */
export const deadlineOf = (plan: Plan, call: number): number =>
  phaseOf(plan, call).healthy === undefined ? deadlines.short : deadlines.long

export const deadlines = { short: 3000, long: 100_000 }

/** Makes a generator of reproducible random numbers for one purpose. */
const makeDraw = (...inputs: ReadonlyArray<number>): (() => number) => {
  let state = inputs.reduce(
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

/** Four keys of each deployment: one good, one with a limit, one revoked, one out of quota. */
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

/** The number of the call, from a text that contains its question. */
export const callOf = (text: string): number => Number(number.exec(text)?.[1] ?? -1)

/** The expected answer of a call. */
export const answerTo = (call: number): string =>
  Arr.makeBy(5 + (call % 3), (index) => `${["red", "green", "blue"][index % 3] ?? ""}${call * 31 + index}`).join(" ")

/** The usage that the provider reports. */
export const usageFor = (call: number): Usage.Usage =>
  Usage.make({ inputTokens: 20 + (call % 13), outputTokens: 5 + (call % 7) })

/** The answer, or the rest of it when the request contains its beginning. */
export const answer = (request: ChatRequest) => {
  const [first] = request.messages
  const call = callOf(first === undefined ? "" : textOf(first.content))
  const prefix = request.messages
    .filter((message) => message.role === "assistant")
    .map((message) => textOf(message.content))
    .join("")
  return { text: answerTo(call).slice(prefix.length), usage: usageFor(call) }
}

// -------------------------------------------------------------------------------------
// callers
// -------------------------------------------------------------------------------------

/**
 * How a caller calls: for a whole response, for a stream, or for a stream that a fallback continues when it breaks. `leaves`:
 * interrupted after `millis`. `first`: takes only the first event. `slow`: pauses for `millis` at every event.
 */
export interface CallerBehavior {
  readonly mode: "whole" | "stream" | "continued"
  readonly pattern: "waits" | "leaves" | "first" | "slow"
  readonly millis: number
}

export const behaviorOf = ({ seed }: Plan, call: number): CallerBehavior => {
  const draw = makeDraw(seed, call, 1)
  const modeDraw = draw()
  const mode = modeDraw < 0.55 ? "whole" : modeDraw < 0.8 ? "stream" : "continued"
  const patternDraw = draw()
  if (patternDraw < 0.12) return { mode, pattern: "leaves", millis: draw() ** 2 * 200 }
  if (mode !== "whole" && patternDraw < 0.2) return { mode, pattern: "first", millis: 0 }
  return mode !== "whole" && patternDraw < 0.3
    ? { mode, pattern: "slow", millis: draw() * 4 }
    : { mode, pattern: "waits", millis: 0 }
}

// -------------------------------------------------------------------------------------
// faults
// -------------------------------------------------------------------------------------

const S = SimulatedProvider

type Fault = SimulatedProvider.Fault

/** Faults with their weights; `after` is the number of events before the fault. */
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

/** Faults of streams: an error event is possible only in a stream. */
const streamFaults: typeof faults = [...faults, [2, (after) => S.errorEvent(after)]]

const pickFault = (from: typeof faults, draw: number, after: number): Fault | undefined => {
  let remaining = draw * from.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, fault] of from) {
    remaining -= weight
    if (remaining < 0) return fault(after)
  }
  return undefined
}

/**
 * The fault of a request: `visit` counts the earlier requests of this call to the deployment. A stream always breaks before its
 * last word, because one that breaks after it is complete, and the rest of an answer can be one word.
 */
export const faultOf = (
  plan: Plan,
  deployment: Deployment,
  { call, isContinuation, visit }: { readonly call: number; readonly visit: number; readonly isContinuation: boolean }
): Fault | undefined => {
  const phase = phaseOf(plan, call)
  const draw = makeDraw(plan.seed, call, deployments.indexOf(deployment), visit, 2)
  if (phase.healthy === deployment || draw() >= phase.faults) return draw() < 0.002 ? S.drip : undefined
  const after = isContinuation ? 1 : 1 + Math.floor(draw() * 4)
  return pickFault(behaviorOf(plan, call).mode === "whole" ? faults : streamFaults, draw(), after)
}
