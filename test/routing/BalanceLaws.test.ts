/** Laws of a balance under random calls, streams, interruptions, failures and times. */
import { describe, expect, it } from "@effect/vitest"
import { Array, Effect, Fiber, Option, Random, Ref, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as Balance from "../../src/routing/Balance.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Rendezvous from "../../src/internal/rendezvous.js"
import type { Service } from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import { makeClock, restless } from "../support/interleaving.js"
import { answer, context, invalid, rateLimited, scripted, unavailable } from "../support/scripted.js"

const failed = new LLMErrors.ProviderUnavailableError({ ...context, status: 500, message: "boom" })
const revoked = new LLMErrors.AuthenticationError({ ...context, status: 401, message: "revoked" })

/** What one deployment does with one call. */
interface Behaviour {
  readonly millis: number
  readonly ending: "answer" | "defect" | LLMError
  /** Whether a stream fails before its first event, and not in the middle. */
  readonly early: boolean
}

const ended = (ending: Behaviour["ending"]): Effect.Effect<void, LLMError> =>
  ending === "answer" ? Effect.void : ending === "defect" ? Effect.die("defect") : Effect.fail(ending)

const events = ChatEvent.fromResponse(answer("Hello"))

/** The calls that a deployment has received. */
interface Witness {
  readonly calls: number
  readonly inFlight: number
  /** The state of the deployment at each call that it should not have received. */
  readonly faults: ReadonlyArray<string>
}

const deployment = (
  behaviours: ReadonlyArray<Behaviour>,
  base: Service,
  state: Effect.Effect<Balance.State | undefined>
) =>
  Effect.map(Ref.make<Witness>({ calls: 0, inFlight: 0, faults: [] }), (witness) => {
    let probes = 0
    const begin = Effect.flatMap(state, (seen) =>
      Ref.modify(witness, (before): readonly [readonly [Behaviour, boolean], Witness] => {
        const isProbe = seen?._tag === "HalfOpen"
        if (isProbe) probes++
        const isFault =
          seen?._tag === "Open" || seen?._tag === "Cooling" || seen?._tag === "Disabled" || (isProbe && probes > 1)
        const behaviour = behaviours[before.calls % behaviours.length] ?? { millis: 1, ending: "answer", early: true }
        return [
          [behaviour, isProbe],
          {
            calls: before.calls + 1,
            inFlight: before.inFlight + 1,
            faults: isFault ? [...before.faults, seen._tag] : before.faults
          }
        ]
      })
    )
    const finish = (isProbe: boolean) =>
      Ref.update(witness, (before) => {
        if (isProbe) probes--
        return { ...before, inFlight: before.inFlight - 1 }
      })
    const received = Effect.acquireRelease(begin, ([, isProbe]) => finish(isProbe))
    const llm: Service = {
      ...base,
      chat: () =>
        Effect.scoped(
          Effect.flatMap(received, ([{ ending, millis }]) =>
            Effect.as(Effect.zipRight(Effect.sleep(millis), ended(ending)), answer("ok"))
          )
        ),
      chatStream: () =>
        Stream.unwrapScoped(
          Effect.map(received, ([{ early, ending, millis }]) => {
            const end = Stream.drain(Stream.fromEffect(Effect.zipRight(Effect.sleep(millis), ended(ending))))
            const [first = [], rest = []] = [events.slice(0, 1), events.slice(1)]
            return early
              ? Stream.concat(end, Stream.fromIterable(events))
              : Stream.concat(Stream.concat(Stream.fromIterable(first), end), Stream.fromIterable(rest))
          })
        )
    }
    return { llm, witness: Ref.get(witness) }
  })

const behaviour: FastCheck.Arbitrary<Behaviour> = FastCheck.record({
  millis: FastCheck.integer({ min: 1, max: 3000 }),
  ending: FastCheck.oneof(
    { weight: 4, arbitrary: FastCheck.constant("answer" as const) },
    { weight: 4, arbitrary: FastCheck.constantFrom(failed, unavailable) },
    {
      weight: 3,
      arbitrary: FastCheck.constantFrom<Behaviour["ending"]>(
        rateLimited(),
        rateLimited(5000),
        revoked,
        invalid,
        "defect"
      )
    }
  ),
  early: FastCheck.boolean()
})

const call = FastCheck.record({
  style: FastCheck.constantFrom("chat", "stream", "some of a stream"),
  at: FastCheck.integer({ min: 0, max: 20_000 }),
  interruptedAfter: FastCheck.option(FastCheck.integer({ min: 0, max: 4000 }), { nil: undefined })
})

const strategies: ReadonlyArray<Balance.Strategy | Balance.Sticky> = [
  Balance.leastLoaded,
  Balance.failover,
  Balance.random,
  Balance.latency,
  Balance.sticky((request) => request.user ?? "one")
]

interface Scenario {
  /** Of each deployment, repeated in a cycle. */
  readonly behaviours: ReadonlyArray<ReadonlyArray<Behaviour>>
  readonly calls: ReadonlyArray<{
    readonly style: string
    readonly at: number
    readonly interruptedAfter: number | undefined
  }>
  readonly strategy: Balance.Strategy | Balance.Sticky
  readonly maxConcurrency: number | undefined
  readonly seed: number
}

const scenario: FastCheck.Arbitrary<Scenario> = FastCheck.record({
  behaviours: FastCheck.array(FastCheck.array(behaviour, { minLength: 1, maxLength: 5 }), {
    minLength: 1,
    maxLength: 4
  }),
  calls: FastCheck.array(call, { minLength: 10, maxLength: 60, size: "max" }),
  strategy: FastCheck.constantFrom(...strategies),
  maxConcurrency: FastCheck.constantFrom(undefined, 1, 2),
  seed: FastCheck.integer()
})

const run = (self: Service, style: string): Effect.Effect<unknown, LLMError> => {
  switch (style) {
    case "chat":
      return self.chat("?")
    case "stream":
      return ChatEvent.collect(self.chatStream("?"))
    default:
      return Stream.runDrain(Stream.take(self.chatStream("?"), 1))
  }
}

describe("Balance under random failures and interruptions", () => {
  const runScenario = (
    { behaviours, calls, maxConcurrency, strategy }: Scenario,
    pass: (millis: number) => Effect.Effect<void>
  ) =>
    Effect.gen(function* () {
      const base = yield* scripted("base")
      const made = yield* Ref.make<Balance.Service | undefined>(undefined)
      const witnesses = yield* Effect.forEach(behaviours, (one, position) =>
        deployment(
          one,
          base,
          Effect.flatMap(Ref.get(made), (self) =>
            self === undefined
              ? Effect.succeed(undefined)
              : Effect.map(self.deployments, (deployments) => deployments[position]?.state)
          )
        )
      )
      const self = yield* Balance.make(
        witnesses.map(({ llm }, index) => ({
          llm,
          id: `${index}`,
          ...(maxConcurrency === undefined ? {} : { maxConcurrency })
        })),
        { strategy, breaker: { failures: 2, cooldown: { base: "3 seconds" } }, maxWait: "10 seconds" }
      )
      yield* Ref.set(made, self)
      const fibers = yield* Effect.forEach(calls, ({ at, interruptedAfter, style }) =>
        Effect.fork(
          Effect.flatMap(Effect.fork(Effect.zipRight(Effect.sleep(at), run(self, style))), (fiber) =>
            interruptedAfter === undefined
              ? Fiber.await(fiber)
              : Effect.zipRight(Effect.sleep(at + interruptedAfter), Fiber.interrupt(fiber))
          )
        )
      )
      // In many steps: a fiber that has not run yet has set no timer.
      for (let minute = 0; minute < 12; minute++) yield* pass(60_000)
      const exits = yield* Effect.forEach(fibers, Fiber.poll)
      return { exits, self, witnessed: yield* Effect.forEach(witnesses, ({ witness }) => witness) }
    })

  const expectNothingHeld = ({ exits, self, witnessed }: Effect.Effect.Success<ReturnType<typeof runScenario>>) =>
    Effect.gen(function* () {
      expect(exits.filter(Option.isNone)).toEqual([])
      expect((yield* self.deployments).map(({ inFlight }) => inFlight)).toEqual(witnessed.map(() => 0))
      expect((yield* self.status).keys.waiting).toBe(0)
      expect(witnessed.map(({ inFlight }) => inFlight)).toEqual(witnessed.map(() => 0))
      for (const { state } of yield* self.deployments) expect(["Ready", "HalfOpen"]).toContain(state._tag)
    })

  it.effect.prop(
    "never calls a deployment that is out except with its probe",
    [scenario],
    ([one]) =>
      Effect.gen(function* () {
        const { clock, pass } = makeClock()
        const outcome = yield* runScenario(one, pass).pipe(
          Effect.withClock(clock),
          Effect.withRandom(Random.make(one.seed))
        )
        yield* Effect.withClock(expectNothingHeld(outcome), clock)
        expect(outcome.witnessed.flatMap(({ faults }) => faults)).toEqual([])
      }),
    { fastCheck: { numRuns: 15 } }
  )

  it.effect.prop(
    "leaves no lease behind a finished call, however its fibers are scheduled",
    [scenario],
    ([one]) =>
      Effect.gen(function* () {
        const { clock, pass } = makeClock()
        const outcome = yield* runScenario(one, pass).pipe(
          Effect.withScheduler(restless(one.seed)),
          Effect.withClock(clock),
          Effect.withRandom(Random.make(one.seed))
        )
        yield* Effect.withClock(expectNothingHeld(outcome), clock)
      }),
    { fastCheck: { numRuns: 15 } }
  )

  it.effect.prop(
    "answers every call while one deployment works, and calls each of the others at most once",
    [
      FastCheck.array(FastCheck.constantFrom(failed, unavailable, revoked, rateLimited(500)), { maxLength: 5 }),
      FastCheck.nat(5)
    ],
    ([errors, at]) =>
      Effect.gen(function* () {
        const bad = yield* Effect.forEach(errors, (error) => scripted(error))
        const good = yield* scripted("good")
        const position = Math.min(at, bad.length)
        const self = yield* Balance.make(
          [...bad.slice(0, position), good, ...bad.slice(position)].map((llm, index) => ({ llm, id: `${index}` })),
          { strategy: Balance.failover }
        )
        expect((yield* self.chat("?")).text).toBe("good")
        for (const llm of bad) expect((yield* llm.asked).length).toBeLessThanOrEqual(1)
        expect((yield* ChatEvent.collect(self.chatStream("?"))).text).toBe("good")
      })
  )
})

describe("Balance weights", () => {
  /** The 99.9 % quantile of χ² with three degrees of freedom. */
  const quantile = 16.27

  const counted = (strategy: Balance.Strategy, calls: number) =>
    Effect.gen(function* () {
      const weights = [1, 2, 3, 4]
      const deployments = yield* Effect.forEach(weights, (weight) =>
        Effect.map(scripted(`${weight}`), (llm) => ({ llm, weight, id: `${weight}` }))
      )
      const self = yield* Balance.make(deployments, { strategy })
      for (let made = 0; made < calls; made++) yield* self.chat("?")
      return (yield* self.deployments).map(({ served, weight }) => ({ served, expected: (calls * weight) / 10 }))
    })

  it.effect("weighted and leastLoaded serve calls in exact proportion to the weights", () =>
    Effect.gen(function* () {
      for (const strategy of [Balance.weighted, Balance.leastLoaded]) {
        for (const { expected, served } of yield* counted(strategy, 1000)) expect(served).toBe(expected)
      }
    })
  )

  it.effect("random serves calls in proportion to the weights, by a χ² test", () =>
    Effect.gen(function* () {
      const shares = yield* counted(Balance.random, 4000)
      const statistic = Array.reduce(
        shares,
        0,
        (sum, { expected, served }) => sum + (served - expected) ** 2 / expected
      )
      expect(statistic).toBeLessThan(quantile)
    }).pipe(Effect.withRandom(Random.make("lots")))
  )

  it("Rendezvous.choose spreads keys in proportion to the weights, by a χ² test", () => {
    const nodes = [1, 2, 3, 4].map((weight) => ({
      hash: Rendezvous.hash(`place-${weight}`),
      weight,
      load: 0,
      served: 0
    }))
    const calls = 20_000
    for (let key = 0; key < calls; key++) {
      const chosen = Rendezvous.choose(Rendezvous.hash(`user-${key}`), nodes, (node) => node, 1e9)
      if (chosen !== undefined) chosen.served++
    }
    const statistic = Array.reduce(nodes, 0, (sum, { served, weight }) => {
      const expected = (calls * weight) / 10
      return sum + (served - expected) ** 2 / expected
    })
    expect(statistic).toBeLessThan(quantile)
  })

  it("Rendezvous.choose never gives a node more than its bounded share and one call", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
        FastCheck.array(FastCheck.integer(), { maxLength: 80 }),
        FastCheck.double({ min: 1, max: 3, noNaN: true }),
        (weights, keys, bound) => {
          const nodes = weights.map((weight, index) => ({ hash: Rendezvous.hash(`${index}`), weight, load: 0 }))
          const total = Array.reduce(weights, 0, (sum, weight) => sum + weight)
          for (const [index, key] of keys.entries()) {
            const chosen = Rendezvous.choose(key, nodes, (node) => node, bound)
            if (chosen === undefined) return false
            chosen.load++
            if (chosen.load > Math.ceil((bound * (index + 1) * chosen.weight) / total) + 1) return false
          }
          return true
        }
      )
    )
  })
})
