import { describe, expect, it } from "@effect/vitest"
import { Duration } from "effect"
import * as FastCheck from "fast-check"
import * as Balance from "../../src/routing/Balance.js"
import * as State from "../../src/routing/balance/state.js"
import type { HealthChange } from "../../src/routing/balance/deployment.js"
import type { BreakerConfig } from "../../src/routing/balance/breaker.js"
import * as Breakers from "../../src/routing/balance/breaker.js"
import * as DeploymentSet from "../../src/routing/balance/deploymentSet.js"
import type { KeyReservation } from "../../src/keyPool/key.js"

const breaker: BreakerConfig = {
  failures: 3,
  ratio: 0.5,
  window: 1e12,
  cooldown: { base: 10_000, factor: 2, max: 60_000 }
}

const positions = [0, 1, 2]

const maxConcurrency = 3

/** The simplest model of a deployment. */
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

const isReady = (self: Reference, now: number): boolean =>
  !self.disabled &&
  self.restUntil <= now &&
  !(self.halfOpen && self.probe !== undefined) &&
  self.inFlight < maxConcurrency

const start = (self: Reference, sequence: number): void => {
  self.inFlight++
  if (self.halfOpen) self.probe = sequence
}

const resetWindow = (self: Reference): void => {
  self.calls = 0
  self.failures = 0
}

const open = (self: Reference, now: number, sequence: number): void => {
  const { base, factor, max } = breaker.cooldown
  const cooldown = Math.min(max, base * factor ** self.openings)
  self.restUntil = Math.max(self.restUntil, now + cooldown)
  self.halfOpen = true
  self.openings++
  self.openedAt = sequence
  self.restedAt = sequence
  self.probe = undefined
  resetWindow(self)
}

const end = (self: Reference, call: number, verdict: Balance.Verdict, now: number, sequence: number): void => {
  self.inFlight--
  if (self.probe === call) self.probe = undefined
  const startedAfterOpening = call > self.openedAt
  switch (verdict._tag) {
    case "Served":
      if (startedAfterOpening && !self.halfOpen) self.calls++
      if (startedAfterOpening && self.halfOpen && call > self.restedAt) {
        self.halfOpen = false
        self.openings = 0
        resetWindow(self)
      }
      return
    case "Failed":
      if (!startedAfterOpening) return
      self.calls++
      self.failures++
      if (self.halfOpen || (self.failures >= breaker.failures && self.failures >= breaker.ratio * self.calls)) {
        open(self, now, sequence)
      }
      return
    case "Limited":
      self.restUntil = Math.max(self.restUntil, now + Duration.toMillis(verdict.retryAfter ?? 0))
      if (call > self.restedAt) Object.assign(self, { restedAt: sequence, probe: undefined })
      return
    case "Down":
      if (startedAfterOpening) open(self, now, sequence)
      return
    default:
      return
  }
}

const enable = (self: Reference, sequence: number): void => {
  const { inFlight, restedAt } = self
  Object.assign(self, { ...fresh(), inFlight, restedAt, openedAt: sequence })
}

const applyHealthChange = (self: Reference, { openings, state, until }: HealthChange, sequence: number): void => {
  if (state === "Closed") {
    if (!self.halfOpen) return
    Object.assign(self, { halfOpen: false, probe: undefined, openings: 0, restUntil: -Infinity })
    return resetWindow(self)
  }
  self.restUntil = Math.max(self.restUntil, until)
  self.restedAt = sequence
  self.probe = undefined
  if (state === "Cooling") return
  self.halfOpen = true
  self.openings = Math.max(self.openings, openings)
  self.openedAt = sequence
  resetWindow(self)
}

const { Down, Failed, Limited, Neutral, Served } = Balance.Verdict

type Command =
  | { readonly _tag: "Acquire"; readonly exclude: ReadonlyArray<number> }
  | { readonly _tag: "Settle"; readonly which: number; readonly verdict: Balance.Verdict }
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Enable" | "Disable"; readonly position: number }
  | {
      readonly _tag: "Notify"
      readonly position: number
      readonly state: HealthChange["state"]
      readonly cooldown: number
    }
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
    arbitrary: FastCheck.subarray(positions).map((exclude): Command => ({ _tag: "Acquire", exclude }))
  },
  {
    weight: 6,
    arbitrary: FastCheck.tuple(FastCheck.nat(20), verdict).map(([which, verdict]): Command => ({
      _tag: "Settle",
      which,
      verdict
    }))
  },
  {
    weight: 3,
    arbitrary: FastCheck.integer({ min: 1, max: 25_000 }).map((millis): Command => ({
      _tag: "Wait",
      millis
    }))
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Notify" as const),
      position,
      state: FastCheck.constantFrom<HealthChange["state"]>("Open", "Cooling", "Closed"),
      cooldown: FastCheck.integer({ min: -1000, max: 30_000 })
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
  readonly notified: number
  readonly postponed: number
}

const run = (commands: ReadonlyArray<Command>): Counted => {
  const references = positions.map(fresh)
  const configs = positions.map((index) => ({ id: `${index}`, weight: 1, order: 0, cost: undefined, maxConcurrency }))
  const cooldown = { base: 1000, factor: 2, max: 60_000, quota: 1, refused: 1, latencyDecay: 1 }
  const policy = { order: Balance.failover, bound: 1, breaker }
  let state = State.make(DeploymentSet.make(configs, policy, cooldown, breaker.window, 7))
  let now = 0
  let granted = 0
  let probes = 0
  let notified = 0
  let postponed = 0
  const reservations: Array<KeyReservation> = []
  const of = (position: number): Reference => references[position] ?? fresh()

  for (const one of commands) {
    switch (one._tag) {
      case "Acquire": {
        const exclude = new Set(one.exclude)
        const [{ value }, next] = State.tryAcquire(state, now, { exclude, affinity: undefined, deadline: now })
        state = next
        const expected = references.findIndex((reference, index) => !exclude.has(index) && isReady(reference, now))
        expect(value._tag === "Granted" ? value.reservation.position : -1).toBe(expected)
        if (value._tag !== "Granted") break
        granted++
        const reference = of(value.reservation.position)
        if (reference.halfOpen) probes++
        start(reference, value.reservation.sequence)
        reservations.push(value.reservation)
        break
      }
      case "Settle": {
        const [reservation] = reservations.splice(one.which % Math.max(1, reservations.length), 1)
        if (reservation === undefined) break
        end(of(reservation.position), reservation.sequence, one.verdict, now, state.deploymentSet.sequence)
        state = State.change(state, now, (deploymentSet) =>
          DeploymentSet.settle(deploymentSet, reservation, one.verdict)
        )[1]
        break
      }
      case "Wait":
        now += one.millis
        break
      case "Notify": {
        const healthChange = { state: one.state, until: now + one.cooldown, openings: 2 }
        applyHealthChange(of(one.position), healthChange, state.deploymentSet.sequence)
        notified++
        const notices = new Map([[`${one.position}`, { ...healthChange, author: "another" }]])
        state = State.applyNotices(state, now, notices, "this", 0)[1]
        break
      }
      case "Postpone": {
        // Another balance has the probe.
        const probing = reservations.filter((reservation) => DeploymentSet.isProbe(state.deploymentSet, reservation))
        const reservation = probing[one.which % Math.max(1, probing.length)]
        if (reservation === undefined) break
        reservations.splice(reservations.indexOf(reservation), 1)
        const reference = of(reservation.position)
        reference.inFlight--
        reference.probe = undefined
        reference.restUntil = Math.max(reference.restUntil, now + one.millis)
        postponed++
        state = State.change(state, now, (deploymentSet) =>
          DeploymentSet.postpone(deploymentSet, reservation, now + one.millis)
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
    const counts = DeploymentSet.all(state.deploymentSet).map(({ breaker }) => Breakers.counts(breaker, now))
    expect(counts).toEqual(references.map(({ calls, failures }) => ({ calls, failures })))
    expect(DeploymentSet.all(state.deploymentSet).map(({ load }) => load.inFlight)).toEqual(
      references.map(({ inFlight }) => inFlight)
    )
  }
  return { granted, probes, notified, postponed }
}

describe("balance state under random commands", () => {
  it("picks the deployment that a simple reference model names", () => {
    let granted = 0
    let probes = 0
    let notified = 0
    let postponed = 0
    FastCheck.assert(
      FastCheck.property(FastCheck.array(command, { minLength: 60, maxLength: 120, size: "max" }), (commands) => {
        const counts = run(commands)
        granted += counts.granted
        probes += counts.probes
        notified += counts.notified
        postponed += counts.postponed
      }),
      { numRuns: 300 }
    )
    // The random commands do open circuits and probe them.
    expect(granted).toBeGreaterThan(2000)
    expect(probes).toBeGreaterThan(100)
    expect(notified).toBeGreaterThan(500)
    expect(postponed).toBeGreaterThan(50)
  })
})
