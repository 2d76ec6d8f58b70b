import { describe, expect, it } from "@effect/vitest"
import { Duration, FastCheck } from "effect"
import * as Balance from "../../src/routing/Balance.js"
import * as State from "../../src/routing/balance/state.js"
import type { Breaker, News } from "../../src/routing/balance/deployment.js"
import * as FailureWindow from "../../src/routing/balance/failureWindow.js"
import * as DeploymentSet from "../../src/routing/balance/deploymentSet.js"
import type { Hold } from "../../src/keyPool/key.js"

const breaker: Breaker = { failures: 3, ratio: 0.5, window: 1e12, base: 10_000, factor: 2, max: 60_000 }

const positions = [0, 1, 2]

const maxConcurrency = 3

/** What a deployment is said to be, written down again as simply as possible. */
interface Reference {
  disabled: boolean
  restUntil: number
  halfOpen: boolean
  probe: number | undefined
  openings: number
  openedAt: number
  restedAt: number
  calls: number
  failures: number
  inFlight: number
}

const fresh = (): Reference => ({
  disabled: false,
  restUntil: -Infinity,
  halfOpen: false,
  probe: undefined,
  openings: 0,
  openedAt: -1,
  restedAt: -1,
  calls: 0,
  failures: 0,
  inFlight: 0
})

const isAble = (self: Reference, now: number): boolean =>
  !self.disabled &&
  self.restUntil <= now &&
  !(self.halfOpen && self.probe !== undefined) &&
  self.inFlight < maxConcurrency

const start = (self: Reference, sequence: number): void => {
  self.inFlight++
  if (self.halfOpen) self.probe = sequence
}

const forget = (self: Reference): void => {
  self.calls = 0
  self.failures = 0
}

const open = (self: Reference, now: number, sequence: number): void => {
  const rest = Math.min(breaker.max, breaker.base * breaker.factor ** self.openings)
  self.restUntil = Math.max(self.restUntil, now + rest)
  self.halfOpen = true
  self.openings++
  self.openedAt = sequence
  self.restedAt = sequence
  forget(self)
}

const end = (self: Reference, call: number, verdict: Balance.Verdict, now: number, sequence: number): void => {
  self.inFlight--
  if (self.probe === call) self.probe = undefined
  const isNews = call > self.openedAt
  switch (verdict._tag) {
    case "Served":
      if (isNews && !self.halfOpen) self.calls++
      if (isNews && self.halfOpen && call > self.restedAt) {
        self.halfOpen = false
        self.openings = 0
        forget(self)
      }
      return
    case "Failed":
      if (!isNews) return
      self.calls++
      self.failures++
      if (self.halfOpen || (self.failures >= breaker.failures && self.failures >= breaker.ratio * self.calls)) {
        open(self, now, sequence)
      }
      return
    case "Limited":
      self.restUntil = Math.max(self.restUntil, now + Duration.toMillis(verdict.retryAfter ?? 0))
      if (call > self.restedAt) self.restedAt = sequence
      return
    case "Down":
      if (isNews) open(self, now, sequence)
      return
    default:
      return
  }
}

const enable = (self: Reference, sequence: number): void => {
  const { inFlight, restedAt } = self
  Object.assign(self, { ...fresh(), inFlight, restedAt, openedAt: sequence })
}

/** What others say of it. */
const hear = (self: Reference, { openings, state, until }: News, sequence: number): void => {
  if (state === "Closed") {
    if (!self.halfOpen) return
    Object.assign(self, { halfOpen: false, probe: undefined, openings: 0, restUntil: -Infinity })
    return forget(self)
  }
  self.restUntil = Math.max(self.restUntil, until)
  self.restedAt = sequence
  if (state === "Cooling") return
  self.halfOpen = true
  self.openings = Math.max(self.openings, openings)
  self.openedAt = sequence
  forget(self)
}

const { Down, Failed, Limited, Neutral, Served } = Balance.Verdict

type Command =
  | { readonly _tag: "Ask"; readonly exclude: ReadonlyArray<number> }
  | { readonly _tag: "End"; readonly which: number; readonly verdict: Balance.Verdict }
  | { readonly _tag: "Pass"; readonly millis: number }
  | { readonly _tag: "Enable" | "Disable"; readonly position: number }
  | { readonly _tag: "Hear"; readonly position: number; readonly state: News["state"]; readonly rest: number }
  | { readonly _tag: "Postpone"; readonly which: number; readonly millis: number }

const position = FastCheck.constantFrom(...positions)

const verdict: FastCheck.Arbitrary<Balance.Verdict> = FastCheck.oneof(
  { weight: 3, arbitrary: FastCheck.constant(Failed()) },
  { weight: 3, arbitrary: FastCheck.constant(Served({})) },
  { weight: 1, arbitrary: FastCheck.constant(Neutral()) },
  { weight: 1, arbitrary: FastCheck.constant(Down({})) },
  {
    weight: 1,
    arbitrary: FastCheck.integer({ min: 1, max: 20_000 }).map((millis) =>
      Limited({ retryAfter: Duration.millis(millis) })
    )
  }
)

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  {
    weight: 6,
    arbitrary: FastCheck.subarray(positions).map((exclude): Command => ({ _tag: "Ask", exclude }))
  },
  {
    weight: 6,
    arbitrary: FastCheck.tuple(FastCheck.nat(20), verdict).map(([which, verdict]): Command => ({
      _tag: "End",
      which,
      verdict
    }))
  },
  {
    weight: 3,
    arbitrary: FastCheck.integer({ min: 1, max: 25_000 }).map((millis): Command => ({
      _tag: "Pass",
      millis
    }))
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Hear" as const),
      position,
      state: FastCheck.constantFrom<News["state"]>("Open", "Cooling", "Closed"),
      rest: FastCheck.integer({ min: -1000, max: 30_000 })
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Postpone" as const),
      which: FastCheck.nat(20),
      millis: FastCheck.integer({ min: 1, max: 5000 })
    })
  },
  { weight: 1, arbitrary: position.map((position): Command => ({ _tag: "Disable", position })) },
  { weight: 1, arbitrary: position.map((position): Command => ({ _tag: "Enable", position })) }
)

interface Counted {
  readonly granted: number
  readonly probes: number
  readonly heard: number
  readonly postponed: number
}

const run = (commands: ReadonlyArray<Command>): Counted => {
  const references = positions.map(fresh)
  const settings = positions.map((index) => ({ id: `${index}`, weight: 1, order: 0, cost: undefined, maxConcurrency }))
  const remedies = { base: 1000, factor: 2, max: 60_000, quota: 1, refused: 1, latencyDecay: 1 }
  const rules = { order: Balance.failover, bound: 1, breaker }
  let state = State.make(DeploymentSet.make(settings, rules, remedies, breaker.window, 7))
  let now = 0
  let granted = 0
  let probes = 0
  let heard = 0
  let postponed = 0
  const held: Array<Hold> = []
  const of = (position: number): Reference => references[position] ?? fresh()

  for (const one of commands) {
    switch (one._tag) {
      case "Ask": {
        const exclude = new Set(one.exclude)
        const [{ value }, next] = State.ask(state, now, { exclude, affinity: undefined, deadline: now })
        state = next
        const expected = references.findIndex((reference, index) => !exclude.has(index) && isAble(reference, now))
        expect(value._tag === "Granted" ? value.hold.position : -1).toBe(expected)
        if (value._tag !== "Granted") break
        granted++
        const reference = of(value.hold.position)
        if (reference.halfOpen) probes++
        start(reference, value.hold.sequence)
        held.push(value.hold)
        break
      }
      case "End": {
        const [hold] = held.splice(one.which % Math.max(1, held.length), 1)
        if (hold === undefined) break
        end(of(hold.position), hold.sequence, one.verdict, now, state.deploymentSet.sequence)
        state = State.change(state, now, (deploymentSet) => DeploymentSet.settle(deploymentSet, hold, one.verdict))[1]
        break
      }
      case "Pass":
        now += one.millis
        break
      case "Hear": {
        const news = { state: one.state, until: now + one.rest, openings: 2 }
        hear(of(one.position), news, state.deploymentSet.sequence)
        heard++
        const notices = new Map([[`${one.position}`, { ...news, author: "another" }]])
        state = State.hear(state, now, notices, "this", 0)[1]
        break
      }
      case "Postpone": {
        // A probe that another balance makes instead.
        const probing = held.filter((hold) => DeploymentSet.isProbe(state.deploymentSet, hold))
        const hold = probing[one.which % Math.max(1, probing.length)]
        if (hold === undefined) break
        held.splice(held.indexOf(hold), 1)
        const reference = of(hold.position)
        reference.inFlight--
        reference.probe = undefined
        reference.restUntil = Math.max(reference.restUntil, now + one.millis)
        postponed++
        state = State.change(state, now, (deploymentSet) =>
          DeploymentSet.postpone(deploymentSet, hold, now + one.millis)
        )[1]
        break
      }
      case "Enable":
        enable(of(one.position), state.deploymentSet.sequence)
        state = State.change(state, now, (deploymentSet) => DeploymentSet.enable(deploymentSet, one.position))[1]
        break
      case "Disable":
        of(one.position).disabled = true
        state = State.change(state, now, (deploymentSet) => DeploymentSet.disable(deploymentSet, one.position))[1]
        break
    }
    const counts = state.deploymentSet.deployments.map(({ window }) => FailureWindow.counts(window, now))
    expect(counts).toEqual(references.map(({ calls, failures }) => ({ calls, failures })))
    expect(state.deploymentSet.deployments.map(({ load }) => load.inFlight)).toEqual(
      references.map(({ inFlight }) => inFlight)
    )
  }
  return { granted, probes, heard, postponed }
}

describe("balance state under random commands", () => {
  it("picks the deployment that a simple reference model names", () => {
    let granted = 0
    let probes = 0
    let heard = 0
    let postponed = 0
    FastCheck.assert(
      FastCheck.property(FastCheck.array(command, { minLength: 60, maxLength: 120, size: "max" }), (commands) => {
        const counts = run(commands)
        granted += counts.granted
        probes += counts.probes
        heard += counts.heard
        postponed += counts.postponed
      }),
      { numRuns: 200 }
    )
    // The law means something: circuits were opened, and probed.
    expect(granted).toBeGreaterThan(2000)
    expect(probes).toBeGreaterThan(100)
    expect(heard).toBeGreaterThan(500)
    expect(postponed).toBeGreaterThan(50)
  })
})
