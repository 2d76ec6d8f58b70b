import { FileSystem, HttpClient, HttpClientResponse } from "@effect/platform"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import {
  Chunk,
  ConfigProvider,
  Context,
  Effect,
  Either,
  Fiber,
  Layer,
  Logger,
  Option,
  Queue,
  Ref,
  Stream,
  TestClock
} from "effect"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import type * as Balance from "../../src/routing/Balance.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import type { Service } from "../../src/LLM.js"
import * as LLM from "../../src/LLM.js"
import * as Models from "../../src/models/Models.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import { memoryFile } from "../support/memoryFile.js"

const environment = Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))

const model = (name: string, keys: ReadonlyArray<unknown>, more: object = {}) => ({
  model_name: name,
  api_keys: keys,
  base_url: "http://acme.test/v1",
  rate_limit_capacity: 100,
  rate_limit_refill_rate: 100,
  max_retries: 1,
  ...more
})

const key = (id: string, more: object = {}) => ({ key: `sk-hidden-${id}`, id, ...more })

const file = (...models: ReadonlyArray<object>): string => JSON.stringify({ acme: models })

/** Answers with a cooldown of ten minutes for keys that contain `limited`, and with "Hello" for others. */
const httpClient = HttpClient.make((request) =>
  Effect.succeed(
    HttpClientResponse.fromWeb(
      request,
      request.headers["authorization"]?.includes("limited") === true
        ? new Response("{}", { status: 429, headers: { "retry-after": "600" } })
        : new Response(
            JSON.stringify({
              id: "1",
              model: "answering",
              choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }]
            }),
            { headers: { "content-type": "application/json" } }
          )
    )
  )
)

/** Reloading models over a file in memory. */
const reloadingModels = (initial: string, options: Models.ReloadOptions = {}) =>
  Effect.gen(function* () {
    const file = yield* memoryFile(initial)
    const context = yield* Layer.build(
      Layer.provide(
        Models.layerReloading("provider.json", options),
        Layer.merge(file.layer, Layer.succeed(HttpClient.HttpClient, httpClient))
      )
    )
    const reloader = Context.get(context, Models.Reloading)
    const changes = yield* Queue.unbounded<Models.Change>()
    yield* Effect.forkScoped(Stream.runForEach(reloader.changes, (change) => Queue.offer(changes, change)))
    yield* Effect.yieldNow()
    return {
      models: Context.get(context, Models.Models),
      reload: reloader.reload,
      write: file.write,
      /** The changes since the last time. */
      newChanges: Effect.zipRight(TestClock.adjust(0), Effect.map(Queue.takeAll(changes), Chunk.toReadonlyArray))
    }
  })

const withoutLogs = Effect.provide(Logger.remove(Logger.defaultLogger))

const keyStates = (llm: Service) =>
  Effect.map(llm.status, ({ keys }) => Object.fromEntries(keys.keys.map(({ id, state }) => [id, state._tag])))

describe("Models.layerReloading", () => {
  it.scoped("takes a changed file over once its content has been stable for 200 milliseconds", () =>
    Effect.gen(function* () {
      const { models, newChanges, write } = yield* reloadingModels(file(model("one", [key("a")])))
      const one = yield* models.get("acme/one")
      yield* write(file(model("one", [key("a")], { context_window: 5000 }), model("two", [key("a")])))
      yield* TestClock.adjust("999 millis")
      expect(one.info.contextWindow).toBe(200_000)
      yield* TestClock.adjust("1 millis")
      expect(yield* newChanges).toEqual([])
      yield* TestClock.adjust("200 millis")
      expect(yield* newChanges).toMatchObject([
        { _tag: "Reloaded", added: ["acme/two"], changed: ["acme/one"], removed: [], kept: [] }
      ])
      expect(one.info.contextWindow).toBe(5000)
      expect(models.list.map(({ model }) => model)).toEqual(["one", "two"])
      expect((yield* (yield* models.get("two")).chat("?")).text).toBe("Hello")
    }).pipe(withoutLogs, environment)
  )

  it.scoped("ignores partial content while the file is being written", () =>
    Effect.gen(function* () {
      const { models, newChanges, write } = yield* reloadingModels(file(model("one", [key("a")])))
      const whole = file(model("one", [key("a")]), model("two", [key("b")]))
      for (let end = 1; end < 40; end++) {
        yield* write(whole.slice(0, end))
        yield* TestClock.adjust("150 millis")
      }
      expect(yield* newChanges).toEqual([])
      yield* write(whole)
      yield* TestClock.adjust("2 seconds")
      expect(yield* newChanges).toMatchObject([{ _tag: "Reloaded", added: ["acme/two"] }])
      expect(models.list).toHaveLength(2)
    }).pipe(withoutLogs, environment)
  )

  it.scoped("keeps the models when the file is invalid or missing, and reports each refusal once", () =>
    Effect.gen(function* () {
      const good = file(model("one", [key("a")]))
      const { models, reload, newChanges, write } = yield* reloadingModels(good)
      const one = yield* models.get("one")
      for (const bad of ["{", file(model("one", [])), file(model("one", [key("a"), key("a")])), undefined]) {
        yield* write(bad)
        yield* TestClock.adjust("10 seconds")
        const changes = yield* newChanges
        expect(changes).toMatchObject([{ _tag: "Refused" }])
        expect(JSON.stringify(changes)).not.toContain("sk-hidden")
        expect(Either.isLeft(yield* Effect.either(reload))).toBe(true)
        expect(yield* newChanges).toHaveLength(1)
        expect((yield* one.chat("?")).text).toBe("Hello")
        expect(models.list).toHaveLength(1)
      }
      yield* write(good)
      yield* TestClock.adjust("10 seconds")
      expect(yield* newChanges).toMatchObject([{ _tag: "Reloaded", kept: ["acme/one"], changed: [] }])
    }).pipe(withoutLogs, environment)
  )

  it.scoped("refuses a reload that leaves no models, and keeps the previous ones", () =>
    Effect.gen(function* () {
      const { models, reload, newChanges, write } = yield* reloadingModels(file(model("one", [key("a")])))
      for (const empty of ["{}", file(), JSON.stringify({ $aliases: {} })]) {
        yield* write(empty)
        yield* TestClock.adjust("10 seconds")
        expect(yield* newChanges).toMatchObject([{ _tag: "Refused" }])
        const error = yield* Effect.flip(reload)
        expect(error._tag).toBe("ProviderFileError")
        expect(error.message).toContain("it has no models")
        expect(yield* newChanges).toHaveLength(1)
        expect(models.list.map(({ model }) => model)).toEqual(["one"])
        expect((yield* (yield* models.get("one")).chat("?")).text).toBe("Hello")
      }
    }).pipe(withoutLogs, environment)
  )

  it.scoped("reads the file only on `reload` when the interval is `false`", () =>
    Effect.gen(function* () {
      const { models, reload, newChanges, write } = yield* reloadingModels(file(model("one", [key("a")])), {
        interval: false
      })
      yield* write(file(model("two", [key("a")])))
      yield* TestClock.adjust("1 hour")
      expect(models.list.map(({ model }) => model)).toEqual(["one"])
      expect(yield* reload).toMatchObject({ added: ["acme/two"], removed: ["acme/one"] })
      expect(models.list.map(({ model }) => model)).toEqual(["two"])
      expect(yield* newChanges).toHaveLength(1)
    }).pipe(withoutLogs, environment)
  )

  it.scoped("moves the default and aliases for services that callers already hold", () =>
    Effect.gen(function* () {
      const two = [model("one", [key("a")]), model("two", [key("a")])]
      const withDefault = (name: string) => JSON.stringify({ acme: two, $default: name, $aliases: { chosen: name } })
      const { models, reload, write } = yield* reloadingModels(withDefault("acme/one"), {
        interval: false
      })
      const llm = yield* Effect.provide(LLM.LLM, Layer.provide(Models.layerLLM(), Layer.succeed(Models.Models, models)))
      const chosen = yield* models.get("chosen")
      expect([llm.info.model, chosen.info.model]).toEqual(["one", "one"])
      yield* write(withDefault("acme/two"))
      expect(yield* reload).toMatchObject({ kept: ["acme/one", "acme/two"] })
      expect([llm.info.model, chosen.info.model]).toEqual(["two", "two"])
    }).pipe(withoutLogs, environment)
  )

  it.scoped("fails calls to a removed model with ModelNotFoundError until the file has it again", () =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(file(model("one", [key("a")])), { interval: false })
      const one = yield* models.get("one")
      yield* write(file(model("two", [key("a")])))
      yield* reload
      expect((yield* Effect.flip(one.chat("?")))._tag).toBe("ModelNotFoundError")
      expect((yield* Effect.flip(Stream.runDrain(one.chatStream("?"))))._tag).toBe("ModelNotFoundError")
      expect(one.info.model).toBe("one")
      yield* write(file(model("one", [key("a")])))
      yield* reload
      expect((yield* one.chat("?")).text).toBe("Hello")
    }).pipe(withoutLogs, environment)
  )
})

describe("state that a reload keeps", () => {
  const limited = key("limited")

  it.scoped("keeps the whole status of a model whose entry has not changed", () =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(file(model("one", [limited, key("a")])), {
        interval: false
      })
      const one = yield* models.get("one")
      yield* one.chat("?")
      const before = yield* one.status
      yield* write(file(model("two", [key("b")]), model("one", [limited, key("a")])))
      expect(yield* reload).toMatchObject({ kept: ["acme/one"] })
      expect(yield* one.status).toEqual(before)
      expect(yield* keyStates(one)).toEqual({ limited: "Cooling", a: "Ready" })
    }).pipe(withoutLogs, environment)
  )

  it.scoped("keeps key cooldowns and counters when keys are added, removed or reweighted and other fields change", () =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(file(model("one", [limited, key("a"), key("b")])), {
        interval: false
      })
      const one = yield* models.get("one")
      yield* one.chat("?")
      yield* write(file(model("one", [key("c"), limited, key("a", { weight: 3 })], { timeout: 5, max_retries: 2 })))
      expect(yield* reload).toMatchObject({ changed: ["acme/one"] })
      expect(yield* keyStates(one)).toEqual({ limited: "Cooling", a: "Ready", c: "Ready" })
      const { keys } = (yield* one.status).keys
      expect(keys.map(({ id, served, weight }) => [id, served, weight])).toEqual([
        ["limited", 1, 1],
        ["a", 1, 3],
        ["c", expect.any(Number), 1]
      ])
      expect((yield* one.chat("?")).attempts).toHaveLength(1)
    }).pipe(withoutLogs, environment)
  )

  it.scoped("keeps key cooldowns when the affinity of a model changes, and applies it", () =>
    Effect.gen(function* () {
      const all = [limited, key("a"), key("b"), key("c")]
      const { models, reload, write } = yield* reloadingModels(file(model("one", all)), { interval: false })
      const one = yield* models.get("one")
      const keysOf = Effect.suspend(() =>
        Effect.map(Effect.replicateEffect(one.chat("?"), 6), (answers) => new Set(answers.map(({ keyId }) => keyId)))
      )
      expect((yield* keysOf).size).toBe(3)
      yield* write(file(model("one", all, { affinity: true })))
      expect(yield* reload).toMatchObject({ changed: ["acme/one"] })
      expect(yield* keyStates(one)).toMatchObject({ limited: "Cooling" })
      expect((yield* keysOf).size).toBe(1)
    }).pipe(withoutLogs, environment)
  )

  it.scoped("reweights a key added by hand and restores one removed by hand when the file lists them", () =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(file(model("one", [key("a"), key("b")])), {
        interval: false
      })
      const one = yield* models.get("one")
      yield* one.keys?.add({ key: "sk-hidden-c", id: "c" }) ?? Effect.void
      yield* one.keys?.remove("b") ?? Effect.void
      yield* write(file(model("one", [key("a"), key("b"), key("c", { weight: 2 })])))
      expect(yield* reload).toMatchObject({ changed: ["acme/one"] })
      const { keys } = (yield* one.status).keys
      expect(new Map(keys.map(({ id, weight }) => [id, weight]))).toEqual(
        new Map([
          ["a", 1],
          ["b", 1],
          ["c", 2]
        ])
      )
    }).pipe(withoutLogs, environment)
  )

  it.scoped("keeps the cooldown of a key whose limits change, and drops it when the secret under its id changes", () =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(file(model("one", [limited, key("a")])), {
        interval: false
      })
      const one = yield* models.get("one")
      yield* one.chat("?")
      yield* write(file(model("one", [{ ...limited, max_concurrency: 3 }, key("a")])))
      yield* reload
      expect(yield* keyStates(one)).toEqual({ limited: "Cooling", a: "Ready" })
      const state = (yield* one.status).keys.keys[0]?.state
      expect(state).toMatchObject({ until: 600_000 })
      yield* write(file(model("one", [{ ...limited, key: "another" }, key("a")])))
      yield* reload
      expect(yield* keyStates(one)).toEqual({ limited: "Ready", a: "Ready" })
    }).pipe(withoutLogs, environment)
  )

  it.scoped("starts changed rate limits with the permits that are left under the old ones", () =>
    Effect.gen(function* () {
      const limits = (capacity: number) => ({ rate_limit_capacity: capacity, rate_limit_refill_rate: 0.001 })
      const { models, reload, write } = yield* reloadingModels(file(model("one", [key("a")], limits(5))), {
        interval: false
      })
      const one = yield* models.get("one")
      yield* Effect.repeatN(one.chat("?"), 2)
      yield* write(file(model("one", [key("a")], limits(50))))
      yield* reload
      expect((yield* one.status).limiter).toMatchObject({ available: 2, capacity: 50 })
    }).pipe(withoutLogs, environment)
  )

  it.scoped("drops key cooldowns when the base URL changes", () =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(file(model("one", [limited, key("a")])), {
        interval: false
      })
      const one = yield* models.get("one")
      yield* one.chat("?")
      yield* write(file(model("one", [limited, key("a")], { base_url: "http://other.test/v1" })))
      yield* reload
      expect(yield* keyStates(one)).toEqual({ limited: "Ready", a: "Ready" })
    }).pipe(withoutLogs, environment)
  )
})

describe("reloading a group", () => {
  const limited = key("limited")

  const fileWithGroup = (members: ReadonlyArray<unknown>, ...models: ReadonlyArray<object>): string =>
    JSON.stringify({ acme: models, $groups: { pair: { strategy: "failover", members } } })

  const stateOf = (pair: Balance.Service) =>
    Effect.map(pair.deployments, (deployments) =>
      Object.fromEntries(deployments.map(({ id, state }) => [id, state._tag]))
    )

  const startGroup = (initial: string) =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(initial, { interval: false })
      const pair = yield* models.group("pair")
      expect((yield* pair.chat("?")).attempts.map(({ keyId }) => keyId)).toEqual(["limited", "b"])
      expect(yield* stateOf(pair)).toMatchObject({ "acme/one": "Cooling", "acme/two": "Ready" })
      return { models, pair, reloadWith: (text: string) => Effect.zipRight(write(text), reload) }
    })

  const both = ["acme/one", "acme/two"]

  it.scoped("keeps the state of a group's deployments when none of its members has changed", () =>
    Effect.gen(function* () {
      const { reloadWith, pair } = yield* startGroup(
        fileWithGroup(both, model("one", [limited]), model("two", [key("b")]))
      )
      expect(
        yield* reloadWith(
          fileWithGroup(both, model("one", [limited]), model("three", [key("c")]), model("two", [key("b")]))
        )
      ).toMatchObject({ added: ["acme/three"], changed: [], kept: ["acme/one", "acme/two", "pair"] })
      expect(yield* stateOf(pair)).toEqual({ "acme/one": "Cooling", "acme/two": "Ready" })
      expect((yield* pair.chat("?")).attempts.map(({ keyId }) => keyId)).toEqual(["b"])
    }).pipe(withoutLogs, environment)
  )

  it.scoped("returns members with new keys to service, unless they were disabled by hand", () =>
    Effect.gen(function* () {
      const { reloadWith, pair } = yield* startGroup(
        fileWithGroup(
          [...both, "acme/three"],
          model("one", [limited]),
          model("two", [key("b")]),
          model("three", [limited])
        )
      )
      yield* pair.disable("acme/three")
      expect(
        yield* reloadWith(
          fileWithGroup(
            [...both, "acme/three"],
            model("one", [key("a")]),
            model("two", [key("b")]),
            model("three", [key("c")])
          )
        )
      ).toMatchObject({ changed: ["acme/one", "acme/three"], kept: ["acme/two", "pair"] })
      expect(yield* stateOf(pair)).toEqual({ "acme/one": "Ready", "acme/two": "Ready", "acme/three": "Disabled" })
      expect((yield* pair.chat("?")).attempts.map(({ keyId }) => keyId)).toEqual(["a"])
      expect((yield* pair.deployments).map(({ served }) => served)).toEqual([2, 1, 0])
    }).pipe(withoutLogs, environment)
  )

  it.scoped("starts a group with new state when a member's base URL or the list of members changes", () =>
    Effect.gen(function* () {
      const { reloadWith, models, pair } = yield* startGroup(
        fileWithGroup(both, model("one", [limited]), model("two", [key("b")]))
      )
      const elsewhere = model("one", [limited], { base_url: "http://other.test/v1" })
      expect(yield* reloadWith(fileWithGroup(both, elsewhere, model("two", [key("b")])))).toMatchObject({
        changed: ["acme/one", "pair"],
        kept: ["acme/two"]
      })
      expect(yield* stateOf(pair)).toEqual({ "acme/one": "Ready", "acme/two": "Ready" })
      yield* reloadWith(fileWithGroup(["acme/two"], elsewhere, model("two", [key("b")])))
      expect(yield* stateOf(pair)).toEqual({ "acme/two": "Ready" })
      expect((yield* pair.chat("?")).attempts.map(({ keyId }) => keyId)).toEqual(["b"])
      expect(models.list.at(-1)).toMatchObject({ name: "pair", members: ["acme/two"] })
    }).pipe(withoutLogs, environment)
  )

  it.scoped("fails calls to a removed group with ModelNotFoundError until the file has it again", () =>
    Effect.gen(function* () {
      const { reloadWith, models, pair } = yield* startGroup(
        fileWithGroup(both, model("one", [limited]), model("two", [key("b")]))
      )
      expect(yield* reloadWith(file(model("one", [limited]), model("two", [key("b")])))).toMatchObject({
        removed: ["pair"]
      })
      expect(yield* Effect.flip(pair.chat("?"))).toMatchObject({ _tag: "ModelNotFoundError", model: "pair" })
      expect(yield* Effect.flip(models.group("pair"))).toMatchObject({ _tag: "ModelNotFoundError" })
      expect(
        yield* reloadWith(fileWithGroup(["acme/two"], model("one", [limited]), model("two", [key("b")])))
      ).toMatchObject({
        added: ["pair"]
      })
      expect((yield* pair.chat("?")).text).toBe("Hello")
    }).pipe(withoutLogs, environment)
  )
})

describe("reloading under calls over sockets", () => {
  it.scopedLive("answers every call while the file changes address, keys, weights and limits under load", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = yield* files.makeTempFileScoped()
      const speed = { latency: { min: "1 millis", max: "10 millis" }, tokenPace: "2 millis" } as const
      const here = yield* SimulatedProvider.make(speed)
      const there = yield* SimulatedProvider.make(speed)
      const secret = (n: number) => `secret-${n}`
      // Address, keys, weights and limits change with every version.
      const version = (n: number): string =>
        file(
          model("one", [secret(n), secret(n + 1), { key: secret(n + 2), weight: 1 + (n % 3) }], {
            base_url: n % 4 < 2 ? here.baseUrl : there.baseUrl,
            rate_limit_capacity: 100_000 + (n % 2),
            max_retries: 1
          }),
          model("two", [secret(0)], { base_url: here.baseUrl, rate_limit_capacity: 100_000, max_retries: 1 })
        )
      const versions = 24
      yield* files.writeFileString(path, version(0))
      const context = yield* Layer.build(Models.layerReloading(path, { interval: "5 millis", settle: "1 millis" }))
      const models = Context.get(context, Models.Models)
      const { changes, reload } = Context.get(context, Models.Reloading)
      const refusals = yield* Effect.fork(Stream.runHead(Stream.filter(changes, (change) => change._tag === "Refused")))
      const one = yield* models.get("one")
      const two = yield* models.get("two")
      const isDone = yield* Ref.make(false)
      const answered = yield* Ref.make(0)

      const caller = (index: number) =>
        Effect.gen(function* () {
          const llm = index % 4 === 3 ? two : one
          while (!(yield* Ref.get(isDone))) {
            const answer =
              index % 2 === 0 ? yield* llm.chat(`${index}`) : yield* ChatEvent.collect(llm.chatStream(`${index}`))
            expect(answer.text).toContain(`${index}`)
            expect(answer.attempts).toHaveLength(1)
            yield* Ref.update(answered, (count) => count + 1)
          }
        })
      const indices = Array.from({ length: 8 }, (_, index) => index)
      const callers = yield* Effect.fork(Effect.forEach(indices, caller, { concurrency: "unbounded", discard: true }))
      const moreAnswers = (more: number) =>
        Effect.flatMap(Ref.get(answered), (before) =>
          eventually(Effect.map(Ref.get(answered), (count) => count >= before + more))
        )
      for (let n = 1; n < versions; n++) {
        yield* files.writeFileString(`${path}.next`, version(n))
        yield* files.rename(`${path}.next`, path)
        if (n % 2 === 0) yield* reload
        yield* Effect.raceFirst(moreAnswers(4), Fiber.join(callers))
      }
      yield* reload
      yield* Effect.raceFirst(moreAnswers(16), Fiber.join(callers))
      yield* Ref.set(isDone, true)
      yield* Fiber.join(callers)
      expect(Option.isNone(yield* Fiber.poll(refusals))).toBe(true)

      const [first, second] = [yield* here.log, yield* there.log]
      expect(first.length).toBeGreaterThan(20)
      expect(second.length).toBeGreaterThan(20)
      expect([...first, ...second].filter(({ status }) => status !== 200 && status !== 0)).toEqual([])
      // Only the keys of the last version are in use.
      const last = yield* Effect.map(one.status, ({ keys }) => keys.keys.map(({ id }) => id))
      expect(new Set(last)).toEqual(new Set([0, 1, 2].map((n) => ApiKey.make(secret(versions - 1 + n)).id)))
      expect((yield* one.status).keys.keys.map(({ inFlight }) => inFlight)).toEqual([0, 0, 0])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), Effect.provide(NodeContext.layer), withoutLogs, environment)
  )

  it.scopedLive("finishes a running stream with its old key after the reload that removes the key", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = yield* files.makeTempFileScoped()
      const provider = yield* SimulatedProvider.make({
        answer: () => "one two three four five six",
        tokenPace: "30 millis"
      })
      const version = (id: string) => file(model("one", [key(id)], { base_url: provider.baseUrl }))
      yield* files.writeFileString(path, version("old"))
      const context = yield* Layer.build(Models.layerReloading(path, { interval: false }))
      const one = yield* Context.get(context, Models.Models).get("one")
      const events = yield* Queue.unbounded<ChatEvent.ChatEvent>()
      const running = yield* Effect.fork(
        ChatEvent.collect(Stream.tap(one.chatStream("?"), (event) => Queue.offer(events, event)))
      )
      yield* Queue.take(events)
      yield* files.writeFileString(path, version("new"))
      yield* Context.get(context, Models.Reloading).reload
      expect((yield* one.chat("?")).keyId).toBe("new")
      const answer = yield* Fiber.join(running)
      expect([answer.text, answer.keyId]).toEqual(["one two three four five six", "old"])
      expect((yield* one.status).keys.keys.map(({ id }) => id)).toEqual(["new"])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), Effect.provide(NodeContext.layer), withoutLogs, environment)
  )
})

describe("the price of a model in the file", () => {
  const fileWithPrices = (one: object | undefined, two: object, strategy = "cost") =>
    JSON.stringify({
      acme: [model("one", [key("a")], one === undefined ? {} : { price: one })],
      other: [model("two", [key("b")], { price: two })],
      $groups: { both: { strategy, members: ["acme/one", "other/two"] } }
    })

  const providerOf = (llm: Service) => Effect.map(llm.chat("?"), ({ provider }) => provider)

  it.scoped("prices answers at the file's price, from the first call after a reload", () =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(
        fileWithPrices({ input: 0, output: 0, request: 1 }, { input: 1 })
      )
      const one = yield* models.get("acme/one")
      expect((yield* one.chat("?")).cost?.total).toBe(1)
      yield* write(fileWithPrices({ input: 0, output: 0, request: 2 }, { input: 1 }))
      expect((yield* reload).changed).toContain("acme/one")
      expect((yield* one.chat("?")).cost?.total).toBe(2)
      yield* write(fileWithPrices(undefined, { input: 1 }))
      yield* reload
      expect("cost" in (yield* one.chat("?"))).toBe(false)
    }).pipe(environment, withoutLogs)
  )

  it.scoped("prices a group's answer at the price of the member that answered", () =>
    Effect.gen(function* () {
      const fee = (request: number) => ({ input: 0, output: 0, request })
      const { models } = yield* reloadingModels(fileWithPrices(fee(1), fee(2), "round-robin"))
      const both = yield* Effect.flatMap(models.get("both"), Pricing.middleware()).pipe(
        Effect.provide(Pricing.layer({ "*": { "*": { input: 9, output: 9 } } }))
      )
      const answers = yield* Effect.all([both.chat("?"), both.chat("?")])
      expect(new Map(answers.map(({ cost, provider }) => [provider, cost?.total]))).toEqual(
        new Map([
          ["acme", 1],
          ["other", 2]
        ])
      )
    }).pipe(environment, withoutLogs)
  )

  it.scoped("picks the cheapest member of a group with the strategy cost, also after prices have changed", () =>
    Effect.gen(function* () {
      const { models, reload, write } = yield* reloadingModels(
        fileWithPrices({ input: 1, output: 1 }, { input: 2, output: 2 })
      )
      const both = yield* models.get("both")
      expect(yield* providerOf(both)).toBe("acme")
      yield* write(fileWithPrices({ input: 3, output: 3 }, { input: 2, output: 2 }))
      yield* reload
      expect(yield* providerOf(both)).toBe("other")
    }).pipe(environment, withoutLogs)
  )

  it.scoped("prefers the price in the file to the prices in context where the models were made", () =>
    Effect.gen(function* () {
      const { models } = yield* Effect.provide(
        reloadingModels(fileWithPrices({ input: 0, output: 0, request: 1 }, { input: 2, output: 2 })),
        Pricing.layer({ "*": { "*": { input: 9, output: 9 } } })
      )
      expect((yield* Effect.flatMap(models.get("acme/one"), (llm) => llm.chat("?"))).cost?.total).toBe(1)
      const { deployments } = yield* models.group("both")
      // The fee of a thousand requests, each of a thousand tokens.
      expect((yield* deployments).map(({ cost }) => cost)).toEqual([1000, 2])
    }).pipe(environment, withoutLogs)
  )
})
