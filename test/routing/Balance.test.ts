import { describe, expect, it } from "@effect/vitest"
import { Array, Chunk, Duration, Effect, Exit, Fiber, Layer, Order, Schedule, Scope, Stream, TestClock } from "effect"
import * as Balance from "../../src/routing/Balance.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as LLM from "../../src/LLM.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Retry from "../../src/call/Retry.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import type { Scripted, Step } from "../support/scripted.js"
import { answer, context, invalid, rateLimited, scripted, unavailable } from "../support/scripted.js"

const named = (llm: Scripted, info: Partial<LLM.ModelInfo>): Scripted => ({ ...llm, info: { ...llm.info, ...info } })

/** Deployments that answer with their own id. */
const members = (ids: ReadonlyArray<string>, options: Omit<Balance.Deployment, "llm" | "id"> = {}) =>
  Effect.forEach(ids, (id) => Effect.map(scripted(id), (llm) => ({ llm, id, ...options })))

const texts = (llm: LLM.Service, calls: number) =>
  Effect.replicateEffect(
    Effect.map(llm.chat("?"), ({ text }) => text),
    calls
  )

const inFlight = (self: Balance.Service) =>
  Effect.map(
    self.deployments,
    Array.map((deployment) => deployment.inFlight)
  )

const image: Chat.ChatRequest.Input = {
  messages: [Chat.user([Chat.text("What is it?"), Chat.image("https://x.test/i.png")])]
}

const everySecond = Schedule.spaced("1 second")

const broken = (step: Step, id: string) => Effect.map(scripted(step), (llm) => ({ llm, id }))

describe("Balance strategies", () => {
  it.effect("balances deployments with the strategies of a KeyPool", () =>
    Effect.gen(function* () {
      const deployments = yield* members(["a", "b", "c"])
      const roundRobin = yield* Balance.make(deployments, { strategy: Balance.roundRobin })
      expect(yield* texts(roundRobin, 5)).toEqual(["a", "b", "c", "a", "b"])
      const failover = yield* Balance.make(deployments, { strategy: Balance.failover })
      expect(yield* texts(failover, 3)).toEqual(["a", "a", "a"])
    })
  )

  it.effect("cost picks the cheapest deployment, and one of unknown cost last", () =>
    Effect.gen(function* () {
      const [a, b, c] = yield* Effect.all([scripted("unknown"), scripted("dear"), scripted("cheap")])
      const self = yield* Balance.make(
        [
          { llm: a, id: "a" },
          { llm: b, cost: 3, id: "b" },
          { llm: c, cost: 0.5, id: "c" }
        ],
        {
          strategy: Balance.cost
        }
      )
      expect(yield* texts(self, 2)).toEqual(["cheap", "cheap"])
      yield* self.disable("c")
      expect(yield* texts(self, 1)).toEqual(["dear"])
      yield* self.disable("b")
      expect(yield* texts(self, 1)).toEqual(["unknown"])
    })
  )

  it.effect(
    "cost takes a missing cost from the model's price, and from its input price alone when output has none",
    () =>
      Effect.gen(function* () {
        const models = ["unpriced", "dear", "cheap", "vectors"]
        const deployments = yield* Effect.forEach(models, (model) =>
          Effect.map(scripted(model, unavailable), (llm) => ({ llm: named(llm, { model }), id: model }))
        )
        const self = yield* Balance.make(
          deployments.map((one) => (one.id === "vectors" ? { ...one, capabilities: { chat: false } } : one)),
          { strategy: Balance.cost, breaker: { failures: 1, cooldown: { base: "1 hour" } } }
        )
        expect((yield* self.deployments).map(({ cost, id }) => [id, cost])).toEqual([
          ["unpriced", undefined],
          ["dear", 6.5],
          ["cheap", 4],
          ["vectors", 0.02]
        ])
        // Each deployment answers once and then fails.
        expect(yield* texts(self, 3)).toEqual(["cheap", "dear", "unpriced"])

        const own = deployments.map((one) => ({ ...one, cost: one.id === "dear" ? 0 : 9 }))
        const overruled = yield* Balance.make(own, { strategy: Balance.cost })
        expect((yield* overruled.deployments).map(({ cost }) => cost)).toEqual([9, 0, 9, 9])
      }).pipe(
        Effect.provide(
          Pricing.layer({
            test: {
              dear: { input: 2, output: 20 },
              cheap: { input: 4, output: 4, tiers: [{ above: 1000, input: 99, output: 99 }] },
              vectors: { input: 0.02 }
            }
          })
        )
      )
  )

  it.effect("accepts an Order over deployment states as a strategy", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make(yield* members(["a", "z"]), {
        strategy: Order.reverse(Order.mapInput(Order.string, (deployment: Balance.DeploymentState) => deployment.id))
      })
      expect(yield* texts(self, 2)).toEqual(["z", "z"])
    })
  )

  it.effect("uses deployments of a higher order only when those of a lower order are out, whatever the strategy", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make([
        ...(yield* members(["reserve"], { order: 1 })),
        ...(yield* members(["a", "b"]))
      ])
      expect(yield* texts(self, 4)).toEqual(["a", "b", "a", "b"])
      yield* self.disable("a")
      yield* self.disable("b")
      expect(yield* texts(self, 1)).toEqual(["reserve"])
    })
  )

  it.effect("latency picks the deployment with the lowest average latency", () =>
    Effect.gen(function* () {
      const taking = (millis: number, text: string) => scripted(Effect.delay(Effect.succeed(answer(text)), millis))
      const self = yield* Balance.make(
        [
          { llm: yield* taking(900, "slow"), id: "slow" },
          { llm: yield* taking(100, "quick"), id: "quick" }
        ],
        { strategy: Balance.latency }
      )
      const fiber = yield* Effect.fork(texts(self, 5))
      yield* TestClock.adjust("3 seconds")
      expect(yield* Fiber.join(fiber)).toEqual(["slow", "quick", "quick", "quick", "quick"])
      expect((yield* self.deployments).map((deployment) => deployment.latency)).toEqual([900, 100])
    })
  )
})

describe("Balance.sticky", () => {
  const requestBy = (key: string): Chat.ChatRequest.Input => ({ messages: [Chat.user("?")], user: key })
  const byUser = (options: { readonly bound?: number; readonly otherwise?: Balance.Strategy } = {}) =>
    Balance.sticky((request) => request.user, options)
  const deploymentsOf = (self: LLM.Service, keys: ReadonlyArray<string>) =>
    Effect.forEach(keys, (key) => Effect.map(self.chat(requestBy(key)), ({ text }) => text))
  const users = Array.makeBy(300, (index) => `user-${index}`)

  it.effect("sticky sends all requests with one key to one deployment", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make(yield* members(["a", "b", "c", "d"]), { strategy: byUser() })
      const first = yield* deploymentsOf(self, users)
      expect(yield* deploymentsOf(self, users)).toEqual(first)
      expect(new Set(first).size).toBe(4)
    })
  )

  it.effect("sticky without keyOf sends each conversation of each client to one deployment", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make(yield* members(["a", "b", "c", "d"]), { strategy: Balance.sticky() })
      const turns = (user: string, count: number, extra?: Chat.ChatRequest["extra"]): Chat.ChatRequest.Input => ({
        messages: [
          Chat.system("You are helpful."),
          Chat.user(user),
          ...Array.makeBy(count, (turn) => [Chat.assistant("Yes."), Chat.user(`${turn}`)]).flat()
        ],
        ...(extra === undefined ? {} : { extra })
      })
      const deployments = (requests: ReadonlyArray<Chat.ChatRequest.Input>) =>
        Effect.map(
          Effect.forEach(requests, (request) => self.chat(request)),
          (answers) => new Set(answers.map(({ text }) => text))
        )
      for (const user of users.slice(0, 20)) {
        expect((yield* deployments(Array.makeBy(4, (turn) => turns(user, turn)))).size).toBe(1)
      }
      const id = { prompt_cache_key: "a conversation" }
      expect((yield* deployments(users.slice(0, 20).map((user) => turns(user, 0, id)))).size).toBe(1)
      const clients = yield* Effect.forEach(users.slice(0, 20), (id) =>
        RateLimiter.withClient(deployments([turns("Hello", 0)]), { id })
      )
      expect(new Set(clients.flatMap((set) => [...set])).size).toBe(4)
    })
  )

  it.effect("sticky spreads keys in proportion to the weights", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make([...(yield* members(["a"], { weight: 2 })), ...(yield* members(["b"]))], {
        strategy: byUser()
      })
      const ids = yield* deploymentsOf(self, users)
      // 200 are expected; the standard deviation is 8.2.
      const ofA = ids.filter((id) => id === "a").length
      expect(ofA).toBeGreaterThan(170)
      expect(ofA).toBeLessThan(230)
    })
  )

  it.effect("sticky moves only the keys of a disabled deployment, and moves them back when it is enabled", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make(yield* members(["a", "b", "c", "d"]), { strategy: byUser() })
      const before = yield* deploymentsOf(self, users)
      yield* self.disable("b")
      const meanwhile = yield* deploymentsOf(self, users)
      for (const [index, id] of before.entries()) {
        if (id === "b") expect(meanwhile[index]).not.toBe("b")
        else expect(meanwhile[index]).toBe(id)
      }
      yield* self.enable("b")
      expect(yield* deploymentsOf(self, users)).toEqual(before)
    })
  )

  it.effect("sticky sends calls to another deployment when the first exceeds its bounded share in flight", () =>
    Effect.gen(function* () {
      const never = Effect.map(scripted(Effect.never), (llm) => llm)
      const self = yield* Balance.make(
        [
          { llm: yield* never, id: "a" },
          { llm: yield* never, id: "b" }
        ],
        { strategy: byUser({ bound: 1.5 }) }
      )
      yield* Effect.replicateEffect(Effect.fork(self.chat(requestBy("one"))), 20)
      yield* Effect.yieldNow()
      const [most = 0, least = 0] = Array.sort(yield* inFlight(self), Order.reverse(Order.number))
      expect(most + least).toBe(20)
      expect(most).toBeLessThanOrEqual(Math.ceil(1.5 * 10) + 1)
      expect(most).toBeGreaterThan(least)
    })
  )

  it.effect("sticky routes requests without a key by the strategy in `otherwise`", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make(yield* members(["a", "b"]), {
        strategy: byUser({ otherwise: Balance.roundRobin })
      })
      expect(yield* texts(self, 4)).toEqual(["a", "b", "a", "b"])
    })
  )
})

describe("Balance failover", () => {
  it.effect("tries each deployment once until one answers, and returns all attempts with the answer", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* scripted(unavailable), yield* scripted(unavailable)]
      const self = yield* Balance.make([{ llm: first }, { llm: second }, ...(yield* members(["c"]))], {
        strategy: Balance.failover
      })
      const response = yield* self.chat("?")
      expect(response.text).toBe("c")
      expect(response.attempts.map((attempt) => attempt.error)).toEqual([
        "ProviderUnavailableError",
        "ProviderUnavailableError",
        undefined
      ])
      expect(yield* Effect.all([first.asked, second.asked])).toEqual([["?"], ["?"]])
    })
  )

  it.effect("returns an InvalidRequestError without trying another deployment or counting a failure", () =>
    Effect.gen(function* () {
      const second = yield* scripted("never asked")
      const self = yield* Balance.make([yield* broken(invalid, "a"), { llm: second, id: "b" }], {
        strategy: Balance.failover
      })
      for (let call = 0; call < 20; call++) expect(yield* Effect.flip(self.chat("?"))).toBe(invalid)
      expect(yield* second.asked).toEqual([])
      expect((yield* self.deployments)[0]).toMatchObject({ state: { _tag: "Ready" }, failed: 0, served: 20 })
    })
  )

  it.effect("tries the next deployment for the errors that the predicate `on` accepts", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make([yield* broken(invalid, "a"), ...(yield* members(["b"]))], {
        strategy: Balance.failover,
        on: (error) => error._tag === "InvalidRequestError"
      })
      expect((yield* self.chat("?")).text).toBe("b")
    })
  )

  it.effect("waits for a long Retry-After only when no other deployment is ready", () =>
    Effect.gen(function* () {
      const limited = rateLimited(20_000)
      const patient = yield* Effect.flatMap(scripted(limited, "in the end"), Retry.middleware())
      const self = yield* Balance.make([{ llm: patient, id: "a" }, yield* broken(unavailable, "b")], {
        strategy: Balance.failover
      })
      const failed = yield* Effect.flip(self.chat("?"))
      expect(failed).toMatchObject({ _tag: "BalanceExhaustedError" })
      yield* self.enable("a")
      yield* self.disable("b")
      const alone = yield* Effect.flatMap(scripted(limited, "in the end"), Retry.middleware())
      const last = yield* Balance.make([{ llm: alone }])
      const fiber = yield* Effect.fork(last.chat("?"))
      yield* TestClock.adjust("21 seconds")
      expect((yield* Fiber.join(fiber)).text).toBe("in the end")
    })
  )

  it.effect("fails with a BalanceExhaustedError that lists each deployment's error or why it was not called", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make(
        [
          yield* broken(unavailable, "a"),
          yield* broken(rateLimited(5000), "b"),
          ...(yield* members(["blind"], { capabilities: { images: false } })),
          ...(yield* members(["off"]))
        ],
        { strategy: Balance.failover }
      )
      yield* self.disable("off")
      const error = yield* Effect.flip(self.chat(image))
      expect(error).toMatchObject({
        _tag: "BalanceExhaustedError",
        retryable: true,
        answers: [
          { deployment: "a", error: "ProviderUnavailableError", message: "overloaded" },
          { deployment: "b", error: "RateLimitError", message: "slow down" },
          { deployment: "blind", message: "not called: it lacks images" },
          { deployment: "off", message: "not called: it is disabled" }
        ]
      })
      expect(error.message).toContain("a: ProviderUnavailableError: overloaded | b: RateLimitError: slow down")
      // A 503 without a Retry-After starts a cooldown of a second.
      expect(LLMErrors.retryAfter(error)).toMatchObject({ value: Duration.seconds(1) })
      expect(LLMErrors.isRetryable(error)).toBe(true)
      expect(error.attempts).toHaveLength(2)
    })
  )

  it.effect("fails with a non-retryable error when no deployment can answer later", () =>
    Effect.gen(function* () {
      const refused = new LLMErrors.AuthenticationError({ ...context, message: "no such key" })
      const self = yield* Balance.make([yield* broken(refused, "a"), ...(yield* members(["b"]))])
      yield* self.disable("b")
      const error = yield* Effect.flip(self.chat("?"))
      expect(error).toMatchObject({ _tag: "BalanceExhaustedError", retryable: false })
      expect(LLMErrors.isRetryable(error)).toBe(false)
    })
  )

  it.effect("hands an exhausted call to the next member of a Fallback around the balance", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make([yield* broken(unavailable, "a")])
      const llm = yield* Fallback.make([yield* scripted("behind")])(self)
      expect((yield* llm.chat("?")).text).toBe("behind")
    })
  )
})

describe("Balance capabilities", () => {
  it.effect("sends a request only to deployments with every capability that it needs", () =>
    Effect.gen(function* () {
      const tool = { name: "lookup" }
      const cases: ReadonlyArray<readonly [keyof Balance.Capabilities, Chat.ChatRequest.Input]> = [
        ["tools", { messages: [Chat.user("?")], tools: [tool] }],
        ["images", image],
        ["audio", { messages: [Chat.user([{ type: "audio", url: "data:audio/wav;base64,AA==" }])] }],
        ["files", { messages: [Chat.user([{ type: "file", fileId: "f" }])] }],
        ["jsonSchema", { messages: [Chat.user("?")], responseFormat: { name: "n", schema: { type: "object" } } }],
        ["chat", "?"]
      ]
      for (const [capability, request] of cases) {
        const unable = yield* scripted("unable")
        const self = yield* Balance.make(
          [{ llm: unable, id: "unable", capabilities: { [capability]: false } }, ...(yield* members(["able"]))],
          { strategy: Balance.failover }
        )
        expect((yield* self.chat(request)).text, capability).toBe("able")
        expect((yield* ChatEvent.collect(self.chatStream(request))).text, capability).toBe("able")
        expect(yield* unable.asked, capability).toEqual([])
        if (capability !== "chat") expect((yield* self.chat("?")).text).toBe("unable")
      }
    })
  )

  it.effect("sends a history with parts of every kind of an answer to a deployment without tools and media", () =>
    Effect.gen(function* () {
      const capabilities = { tools: false, images: false, audio: false, files: false, jsonSchema: false }
      const self = yield* Balance.make(yield* members(["plain"], { capabilities }), { strategy: Balance.failover })
      const history = Chat.assistant([
        { type: "reasoning", text: "Hm" },
        Chat.text("I look."),
        { type: "provider", provider: "test", native: { test: { type: "search" } } },
        { type: "tool-call", id: "1", name: "look", arguments: "{}" },
        { type: "refusal", text: "No." }
      ])
      const request = { messages: [Chat.user("?"), history, Chat.toolResult("1", "found")] }
      expect((yield* self.chat(request)).text).toBe("plain")
    })
  )

  it.effect("sends a long request to a deployment whose context window fits it", () =>
    Effect.gen(function* () {
      const small = named(yield* scripted("small"), { contextWindow: 100 })
      const large = named(yield* scripted("large"), { contextWindow: 10_000 })
      const self = yield* Balance.make(
        [
          { llm: small, id: "s" },
          { llm: large, id: "l" }
        ],
        { strategy: Balance.failover }
      )
      expect(self.info.contextWindow).toBe(10_000)
      expect((yield* self.chat("short")).text).toBe("small")
      expect((yield* self.chat("a word ".repeat(300))).text).toBe("large")
      expect((yield* self.chat({ messages: [Chat.user("short")], maxTokens: 200 })).text).toBe("large")
      const error = yield* Effect.flip(self.chat("a word ".repeat(20_000)))
      expect(error).toMatchObject({ _tag: "ContextLengthError", attempts: [] })
      expect(error.message).toContain("s: it lacks a context window of more than 100 tokens")
    })
  )

  it.effect("fails with an UnsupportedError and calls no deployment when none has the capability", () =>
    Effect.gen(function* () {
      const deployments = yield* members(["a", "b"], { capabilities: { images: false } })
      const self = yield* Balance.make(deployments)
      const error = yield* Effect.flip(self.chat(image))
      expect(error).toMatchObject({ _tag: "UnsupportedError", feature: "images", attempts: [] })
      expect(yield* Effect.forEach(deployments, ({ llm }) => llm.asked)).toEqual([[], []])
    })
  )

  it.effect("sends a request that names a model to the deployments of that model, if there are any", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make(
        [
          { llm: named(yield* scripted("one"), { model: "one" }) },
          { llm: named(yield* scripted("two"), { model: "two" }) }
        ],
        { strategy: Balance.failover }
      )
      const ask = (model: string) => Effect.map(self.chat({ model, messages: [Chat.user("?")] }), ({ text }) => text)
      expect(yield* ask("two")).toBe("two")
      expect(yield* ask("one")).toBe("one")
      expect(yield* ask("three")).toBe("one")
    })
  )

  it.effect("sends embeddings to the first deployment's family of models only, also when that deployment fails", () =>
    Effect.gen(function* () {
      const other = yield* scripted("never asked")
      const first = yield* scripted(unavailable)
      const second = yield* scripted("second")
      const self = yield* Balance.make(
        [
          { llm: yield* scripted("chat alone"), id: "chat", capabilities: { embeddings: false } },
          { llm: first, id: "first", capabilities: { embeddings: "small-3" } },
          { llm: other, id: "other", capabilities: { embeddings: "large-3" } },
          { llm: second, id: "second", capabilities: { embeddings: "small-3" } }
        ],
        { strategy: Balance.failover }
      )
      expect((yield* self.embed("text")).embeddings).toEqual([["second".length]])
      expect(yield* other.asked).toEqual([])
    })
  )
})

describe("Balance wait queue", () => {
  it.effect("queues a call until the first of the cooldowns ends", () =>
    Effect.gen(function* () {
      const back = yield* scripted(rateLimited(3000), "back")
      const self = yield* Balance.make([{ llm: back, id: "a" }, yield* broken(rateLimited(60_000), "b")])
      expect((yield* Effect.flip(self.chat("?")))._tag).toBe("BalanceExhaustedError")
      const fiber = yield* Effect.fork(self.chat("?"))
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.poll(fiber)).toMatchObject({ _tag: "None" })
      expect((yield* self.status).keys.waiting).toBe(1)
      yield* TestClock.adjust("1 seconds")
      expect((yield* Fiber.join(fiber)).text).toBe("back")
    })
  )

  it.effect("fails at once with the Retry-After when every cooldown is longer than `maxWait`", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make([yield* broken(rateLimited(60_000), "a")])
      yield* Effect.flip(self.chat("?"))
      const error = yield* Effect.flip(self.chat("?"))
      expect(error).toMatchObject({ _tag: "BalanceExhaustedError", attempts: [], retryAfter: Duration.minutes(1) })
      expect(error.message).toContain(
        "a: not called: it is in a cooldown after a rate limit or overload for another 1m"
      )
    })
  )

  it.effect("does not wait in the queue past the call's deadline or the failoverAfter of a Fallback around it", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make([yield* broken(rateLimited(5000), "a")])
      yield* Effect.flip(self.chat("?"))
      const hurried = yield* Timeouts.middleware({ total: "2 seconds" })(self)
      expect((yield* Effect.flip(hurried.chat("?")))._tag).toBe("BalanceExhaustedError")
      const covered = yield* Fallback.make([yield* scripted("behind")])(self)
      expect((yield* covered.chat("?")).text).toBe("behind")
    })
  )

  it.effect("serves queued calls in the order in which they came", () =>
    Effect.gen(function* () {
      const order: globalThis.Array<number> = []
      const llm = yield* scripted(Effect.delay(Effect.succeed(answer("done")), "1 second"))
      const self = yield* Balance.make([{ llm, maxConcurrency: 1 }])
      const call = (index: number) =>
        Effect.zipRight(
          self.chat("?"),
          Effect.sync(() => order.push(index))
        )
      const fiber = yield* Effect.fork(Effect.forEach(Array.range(0, 9), call, { concurrency: "unbounded" }))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      expect(order).toEqual(Array.range(0, 9))
    })
  )

  it.effect("wakes queued calls when a deployment is enabled", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make([yield* broken("here", "a"), yield* broken(rateLimited(20_000), "b")], {
        strategy: Balance.failover
      })
      yield* self.disable("a")
      yield* Effect.flip(self.chat("?"))
      const fiber = yield* Effect.fork(self.chat("?"))
      yield* TestClock.adjust("1 second")
      yield* self.enable("a")
      expect((yield* Fiber.join(fiber)).text).toBe("here")
    })
  )
})

describe("Balance streams", () => {
  const halfway = ChatEvent.fromResponse(answer("Hello")).slice(0, 2)

  it.effect("hands a stream to the next deployment before its first event, and never after it", () =>
    Effect.gen(function* () {
      const second = yield* scripted("second")
      const before = yield* Balance.make([yield* broken(unavailable, "a"), { llm: second, id: "b" }], {
        strategy: Balance.failover
      })
      const response = yield* ChatEvent.collect(before.chatStream("?"))
      expect(response.text).toBe("second")
      expect(response.attempts).toHaveLength(2)
      const interrupted = { stream: Stream.concat(Stream.fromIterable(halfway), Stream.fail(unavailable)) }
      const after = yield* Balance.make([yield* broken(interrupted, "a"), { llm: second, id: "b" }], {
        strategy: Balance.failover
      })
      expect(yield* Effect.flip(Stream.runDrain(after.chatStream("?")))).toBe(unavailable)
      expect(yield* second.asked).toHaveLength(1)
      expect((yield* after.deployments)[0]).toMatchObject({ inFlight: 0, failed: 1 })
    })
  )

  it.effect("counts a stream as in flight until it ends", () =>
    Effect.gen(function* () {
      const slow = {
        stream: Stream.schedule(Stream.fromIterable(ChatEvent.fromResponse(answer("Hello"))), everySecond)
      }
      const self = yield* Balance.make([yield* broken(slow, "a")])
      const fiber = yield* Effect.fork(Stream.runDrain(self.chatStream("?")))
      yield* TestClock.adjust("1500 millis")
      expect((yield* self.deployments)[0]).toMatchObject({ inFlight: 1, answered: 1 })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      expect((yield* self.deployments)[0]).toMatchObject({ inFlight: 0, answered: 1, failed: 0 })
    })
  )

  it.effect("stops counting a stream when its consumer stops early or closes the scope", () =>
    Effect.gen(function* () {
      const endless = { stream: Stream.concat(Stream.fromIterable(halfway), Stream.never) }
      const self = yield* Balance.make([yield* broken(endless, "a")])
      yield* Stream.runDrain(Stream.take(self.chatStream("?"), 1))
      expect(yield* inFlight(self)).toEqual([0])
      const scope = yield* Scope.make()
      const pull = yield* Scope.extend(Stream.toPull(self.chatStream("?")), scope)
      expect(Chunk.size(yield* pull)).toBeGreaterThan(0)
      expect(yield* inFlight(self)).toEqual([1])
      yield* Scope.close(scope, Exit.void)
      expect(yield* inFlight(self)).toEqual([0])
    })
  )
})

describe("Balance administration", () => {
  it.effect("reweight changes the shares of later calls", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make(yield* members(["a", "b"]), { strategy: Balance.weighted })
      yield* texts(self, 100)
      yield* self.reweight("a", 3)
      const later = yield* texts(self, 100)
      expect(later.filter((text) => text === "a").length).toBe(75)
    })
  )

  it.effect("deployments and status report the options, state and counts of every deployment", () =>
    Effect.gen(function* () {
      const self = yield* Balance.make([
        ...(yield* members(["a"], { weight: 2, cost: 0.5, maxConcurrency: 3, order: 1 })),
        { llm: yield* scripted("b") },
        { llm: yield* scripted("c") }
      ])
      yield* self.chat("?")
      expect((yield* self.deployments).map(({ id }) => id)).toEqual(["a", "test/model", "test/model#2"])
      const [a, b] = yield* self.deployments
      expect(a).toMatchObject({
        weight: 2,
        cost: 0.5,
        maxConcurrency: 3,
        order: 1,
        served: 0,
        state: { _tag: "Ready" }
      })
      expect(b).toMatchObject({ provider: "test", model: "model", served: 1, answered: 1, latency: 0 })
      expect((yield* self.status).limiter).toMatchObject({ available: 3, capacity: 3, waiting: 0 })
    })
  )

  it.effect("make and reweight reject invalid options and list all faults", () =>
    Effect.gen(function* () {
      const [a, b] = yield* members(["a", "b"])
      if (a === undefined || b === undefined) return expect.unreachable()
      const made = Balance.make(
        [
          { ...a, weight: 0 },
          { ...b, id: "a", maxConcurrency: 1.5, order: Number.NaN }
        ],
        {
          breaker: { failures: 0, ratio: 2, cooldown: { base: 0, factor: 0.5 } },
          maxWait: -1,
          strategy: Balance.sticky(() => "k", { bound: 0 })
        }
      )
      expect((yield* Effect.flip(made)).faults).toEqual([
        "deployments[0].weight: must be a positive number",
        'deployments[1].id: "a" is taken',
        "deployments[1].order: must be a number",
        "deployments[1].maxConcurrency: must be a positive integer",
        "breaker.failures: must be a positive integer",
        "breaker.ratio: must be a number from 0 to 1",
        "breaker.cooldown.base: must be a positive and finite duration",
        "breaker.cooldown.factor: must be a number of at least 1",
        "strategy.bound: must be a number of at least 1",
        "maxWait: must be a possible duration"
      ])
      expect((yield* Effect.flip(Balance.make([]))).faults).toEqual(["deployments: must have at least one deployment"])
      const self = yield* Balance.make([a, b])
      expect((yield* Effect.flip(self.reweight("c", 1))).message).toContain('no deployment "c"')
      expect((yield* Effect.flip(self.reweight("a", -1))).message).toContain("positive")
      expect(yield* Effect.all([self.enable("c"), self.disable("a")])).toEqual([false, true])
    })
  )
})

describe("Balance.layer", () => {
  it.effect("layer provides one LLM over several layers, and its Balance service", () =>
    Effect.gen(function* () {
      const layer = Balance.layer(
        [
          { llm: Layer.effect(LLM.LLM, scripted(unavailable)), id: "a" },
          { llm: Layer.effect(LLM.LLM, scripted("second")), id: "b", order: 1 }
        ],
        { breaker: false }
      )
      yield* Effect.gen(function* () {
        expect((yield* LLM.chat("?")).text).toBe("second")
        const self = yield* Balance.Balance
        expect((yield* self.deployments).map(({ failed }) => failed)).toEqual([1, 0])
        yield* Effect.all([self.disable("a"), self.disable("b")])
        expect((yield* Effect.flip(LLM.chat("?")))._tag).toBe("BalanceExhaustedError")
      }).pipe(Effect.provide(layer))
    })
  )
})
