/** Laws of a key pool under any interleaving of calls, interruptions, time and changes of keys. */
import { describe, expect, it } from "@effect/vitest"
import { Array, Cause, Duration, Effect, Exit, Fiber, Option, Ref, Scheduler } from "effect"
import * as FastCheck from "fast-check"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import { AuthenticationError, isLLMError, QuotaExceededError, RateLimitError } from "../../src/vocabulary/LLMError.js"
import { makeClock, restless } from "../support/interleaving.js"

const context = { provider: "acme", model: "m", message: "no", attempts: [] }

/** Calls in flight per key, as the calls count them: now, and the most at once. */
interface InFlight {
  readonly current: Ref.Ref<ReadonlyMap<string, number>>
  readonly most: Ref.Ref<ReadonlyMap<string, number>>
}

const withChange = (self: ReadonlyMap<string, number>, id: string, change: number): ReadonlyMap<string, number> =>
  new Map([...self, [id, (self.get(id) ?? 0) + change]])

const makeInFlight: Effect.Effect<InFlight> = Effect.map(
  Effect.all([Ref.make<ReadonlyMap<string, number>>(new Map()), Ref.make<ReadonlyMap<string, number>>(new Map())]),
  ([current, most]) => ({ current, most })
)

const countInFlight = <A, E>(observed: InFlight, id: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.flatMap(
      Ref.updateAndGet(observed.current, (self) => withChange(self, id, 1)),
      (current) =>
        Ref.update(observed.most, (self) => new Map([...self, [id, Math.max(self.get(id) ?? 0, current.get(id) ?? 0)]]))
    ),
    () => effect,
    () => Ref.update(observed.current, (self) => withChange(self, id, -1))
  )

type Ending = "success" | "rate limit" | "quota" | "refusal" | "failure" | "defect"

const resultOf = (ending: Ending): Effect.Effect<string, unknown> => {
  switch (ending) {
    case "success":
      return Effect.succeed("answer")
    case "rate limit":
      return Effect.fail(new RateLimitError({ ...context, source: "provider", retryAfter: Duration.millis(700) }))
    case "quota":
      return Effect.fail(new QuotaExceededError({ ...context, retryAfter: Duration.seconds(2) }))
    case "refusal":
      return Effect.fail(new AuthenticationError(context))
    case "failure":
      return Effect.fail("failure")
    case "defect":
      return Effect.die("defect")
  }
}

interface Call {
  readonly style: "withKey" | "acquire" | "lease"
  readonly duration: number
  readonly ending: Ending
  readonly exclude: ReadonlyArray<string>
  readonly maxWait: number
  readonly cooling: "wait" | "fail"
}

const runCall = (self: KeyPool.Service, observed: InFlight, call: Call): Effect.Effect<string, unknown> => {
  const options = { exclude: new Set(call.exclude), maxWait: call.maxWait, cooling: call.cooling }
  const use = (id: string) =>
    countInFlight(observed, id, Effect.zipRight(Effect.sleep(call.duration), resultOf(call.ending)))
  const verdict = (exit: Exit.Exit<unknown, unknown>) =>
    Exit.match(exit, {
      onSuccess: () => KeyPool.Verdict.Served({ latency: call.duration }),
      onFailure: (cause) =>
        Option.match(Cause.failureOption(cause), { onNone: () => KeyPool.Verdict.Neutral(), onSome: KeyPool.verdictOf })
    })
  switch (call.style) {
    case "withKey":
      return self.withKey((key) => use(key.id), options)
    case "acquire":
      return Effect.acquireUseRelease(
        self.reserve(options),
        (lease) => use(lease.key.id),
        (lease, exit) => lease.settle(verdict(exit))
      )
    case "lease":
      return Effect.scoped(
        Effect.flatMap(self.lease(options), (lease) =>
          Effect.onExit(use(lease.key.id), (exit) => lease.settle(verdict(exit)))
        )
      )
  }
}

type Command =
  | { readonly _tag: "Call"; readonly call: Call }
  | { readonly _tag: "Interrupt"; readonly index: number }
  | { readonly _tag: "Pass"; readonly millis: number }
  | { readonly _tag: "Yield" }
  | { readonly _tag: "Add"; readonly maxConcurrency: number }
  | {
      readonly _tag: "Change"
      readonly what: "remove" | "disable" | "enable" | "rest" | "reweight"
      readonly id: string
    }

const ids = FastCheck.constantFrom("k0", "k1", "k2")

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  {
    weight: 8,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Call" as const),
      call: FastCheck.record({
        style: FastCheck.constantFrom("withKey" as const, "acquire" as const, "lease" as const),
        duration: FastCheck.constantFrom(0, 1, 50, 400),
        ending: FastCheck.constantFrom<Ending>(
          "success",
          "success",
          "success",
          "rate limit",
          "quota",
          "refusal",
          "failure",
          "defect"
        ),
        exclude: FastCheck.oneof(
          { weight: 3, arbitrary: FastCheck.constant([]) },
          { weight: 1, arbitrary: FastCheck.uniqueArray(ids, { maxLength: 2 }) }
        ),
        maxWait: FastCheck.constantFrom(0, 100, 1_000, 60_000),
        cooling: FastCheck.constantFrom("wait" as const, "wait" as const, "fail" as const)
      })
    })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({ _tag: FastCheck.constant("Interrupt" as const), index: FastCheck.nat(40) })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Pass" as const),
      millis: FastCheck.constantFrom(1, 50, 700)
    })
  },
  { weight: 4, arbitrary: FastCheck.record({ _tag: FastCheck.constant("Yield" as const) }) },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Add" as const),
      maxConcurrency: FastCheck.integer({ min: 1, max: 3 })
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Change" as const),
      what: FastCheck.constantFrom(
        "remove" as const,
        "disable" as const,
        "enable" as const,
        "rest" as const,
        "reweight" as const
      ),
      id: ids
    })
  }
)

const caps: ReadonlyMap<string, number> = new Map([
  ["k0", 1],
  ["k1", 2],
  ["k2", 3]
])

const keys = Array.map([...caps], ([id, maxConcurrency]) => ({ key: `sk-${id}`, id, maxConcurrency }))

const run = (commands: ReadonlyArray<Command>, pass: (millis: number) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const self = yield* KeyPool.make({ provider: "acme", keys })
    const observed = yield* makeInFlight
    const fibers: Array<Fiber.RuntimeFiber<string, unknown>> = []
    const allowed = new Map(caps)
    for (const each of commands) {
      switch (each._tag) {
        case "Call":
          fibers.push(yield* Effect.fork(runCall(self, observed, each.call)))
          break
        case "Interrupt": {
          const fiber = fibers[each.index % Math.max(1, fibers.length)]
          if (fiber !== undefined) yield* Fiber.interruptFork(fiber)
          break
        }
        case "Pass":
          yield* pass(each.millis)
          break
        case "Yield":
          yield* Effect.yieldNow()
          break
        case "Add": {
          const id = `added-${allowed.size}`
          allowed.set(id, each.maxConcurrency)
          yield* self.add({ key: `sk-${id}`, id, maxConcurrency: each.maxConcurrency })
          break
        }
        case "Change":
          if (each.what === "rest") yield* self.rest(each.id, "300 millis")
          else if (each.what === "reweight") yield* Effect.ignore(self.reweight(each.id, 2))
          else yield* self[each.what](each.id)
      }
    }
    // No call waits longer than a minute, and none takes longer than half a second.
    yield* pass(120_000)
    const exits = yield* Effect.forEach(fibers, Fiber.poll)
    return { self, allowed, exits, observed }
  })

/** A scheduler that lets another fiber run once, after a number of steps. */
const pausing = () => {
  let left = Infinity
  const scheduler = Scheduler.make(
    (task) => Scheduler.defaultScheduler.scheduleTask(task, 0),
    () => {
      left--
      return left === 0 ? 0 : false
    }
  )
  const after = (steps: number) => {
    left = steps
  }
  /** Waits until the steps are done, or the fiber makes no more progress. */
  const reached = Effect.iterate(0, {
    while: (turns) => left > 0 && turns < 50,
    body: (turns) => Effect.as(Effect.yieldNow(), turns + 1)
  })
  return { scheduler, after, reached }
}

const settings = { fastCheck: { numRuns: 100 } }

describe("KeyPool under random interleavings of calls, interruptions, time and changes", () => {
  it.effect.prop(
    "every call ends, every key is given back, and no key exceeds its maxConcurrency",
    [FastCheck.array(command, { maxLength: 60, size: "max" }), FastCheck.integer()],
    ([commands, seed]) =>
      Effect.gen(function* () {
        const { clock, pass } = makeClock(100)
        const { allowed, exits, self, observed } = yield* run(commands, pass).pipe(
          Effect.withScheduler(restless(seed)),
          Effect.withClock(clock)
        )
        expect(exits.filter(Option.isNone)).toEqual([])
        const { keys, waiting } = yield* self.status
        expect(waiting).toBe(0)
        expect(keys.map((key) => key.inFlight)).toEqual(keys.map(() => 0))
        expect([...(yield* Ref.get(observed.current)).values()].every((count) => count === 0)).toBe(true)
        for (const [id, most] of yield* Ref.get(observed.most)) {
          expect(most).toBeLessThanOrEqual(allowed.get(id) ?? 0)
        }
        for (const key of keys) {
          expect(key.succeeded + key.rateLimited + key.outOfQuota + key.refused).toBeLessThanOrEqual(key.served)
        }
        for (const exit of Array.getSomes(exits)) {
          const failure = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : Option.none()
          expect(Option.isNone(failure) || failure.value === "failure" || isLLMError(failure.value)).toBe(true)
        }
      }),
    settings
  )
})

describe("interruption of a call at every step", () => {
  const styles = ["withKey", "acquire", "lease"] as const

  const pool = KeyPool.make({
    provider: "acme",
    keys: [{ key: "sk-0", id: "k0", maxConcurrency: 1 }],
    maxWait: Duration.infinity
  })

  const call = (style: Call["style"]): Call => ({
    style,
    duration: 1_000,
    ending: "success",
    exclude: [],
    maxWait: Infinity,
    cooling: "wait"
  })

  it.effect.each(styles)("a call by %s that is interrupted at any step gives its key back", (style) =>
    Effect.gen(function* () {
      const self = yield* pool
      const observed = yield* makeInFlight
      for (let step = 1; step <= 120; step++) {
        const pause = pausing()
        pause.after(step)
        const fiber = yield* Effect.fork(Effect.withScheduler(runCall(self, observed, call(style)), pause.scheduler))
        yield* pause.reached
        yield* Fiber.interrupt(fiber)
        expect((yield* self.status).keys.map((key) => key.inFlight)).toEqual([0])
      }
      // Some calls were interrupted before they had the key, and some after.
      const served = (yield* self.status).keys[0]?.served ?? 0
      expect(served).toBeGreaterThan(20)
      expect(served).toBeLessThan(120)
    }).pipe(Effect.withClock(makeClock().clock))
  )

  it.effect.each(styles)(
    "a waiting call by %s that is interrupted at any step leaves its key to the next in the queue",
    (style) =>
      Effect.gen(function* () {
        const self = yield* pool
        const observed = yield* makeInFlight
        const served: Array<number> = []
        for (let step = 1; step <= 120; step++) {
          const pause = pausing()
          const first = yield* self.reserve()
          const fiber = yield* Effect.fork(Effect.withScheduler(runCall(self, observed, call(style)), pause.scheduler))
          yield* pause.reached
          const next = yield* Effect.fork(self.reserve())
          yield* Effect.replicateEffect(Effect.yieldNow(), 20)
          expect((yield* self.status).waiting).toBe(2)
          pause.after(step)
          yield* first.settle(KeyPool.Verdict.Neutral())
          yield* pause.reached
          yield* Fiber.interrupt(fiber)
          const lease = yield* Fiber.join(next)
          const { keys, waiting } = yield* self.status
          expect([waiting, keys[0]?.inFlight]).toEqual([0, 1])
          served.push((keys[0]?.served ?? 0) - served.reduce((sum, count) => sum + count, 0))
          yield* lease.settle(KeyPool.Verdict.Neutral())
        }
        // Some calls were interrupted before they had fetched the key, and some after.
        expect(new Set(served)).toEqual(new Set([2, 3]))
      }).pipe(Effect.withClock(makeClock().clock))
  )
})
