/**
 * What outlives a process or is read by other processes: writes it, reads it, and uses it together with a process of the other build.
 * `.ci/effect4/formats.mjs` starts this program with both builds and tells them what to do, by messages to a child process.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { KeyValueStore } from "@effect/platform"
import type { Scope } from "effect"
import {
  DateTime,
  Duration,
  Effect,
  Either,
  Exit,
  Layer,
  Logger,
  LogLevel,
  ManagedRuntime,
  Option,
  Schema
} from "effect"
import { createHash } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import type * as BudgetStore from "../../src/accounting/budget/store.js"
import type { Claim } from "../../src/accounting/budget/accounts.js"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as EmbeddingCache from "../../src/caching/EmbeddingCache.js"
import { PersistenceStore } from "../../src/caching/persistence/index.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import { AccessStore, DashboardHistory, ResponseStore } from "../../src/gateway/index.js"
import type { VirtualKey } from "../../src/gateway/index.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as Models from "../../src/models/Models.js"
import * as Batch from "../../src/programs/Batch.js"
import * as Conversation from "../../src/programs/Conversation.js"
import type * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import {
  Redis,
  RedisAccessStore,
  RedisBudgetStore,
  RedisCacheStore,
  RedisDeploymentHealth,
  RedisKeyPool,
  RedisRateLimiter,
  RedisResponseStore,
  RedisSharing
} from "../../src/redis/index.js"
import * as Balance from "../../src/routing/Balance.js"
import type { EmbeddingResponse } from "../../src/vocabulary/Embedding.js"
import * as LLMError from "../../src/vocabulary/LLMError.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { start } from "../gateway/support/gateway.js"
import { scripted } from "../support/scripted.js"
import { backingIn } from "./backing.js"
import { plain } from "./plain.js"
import * as Values from "./values.js"

const [url = ""] = process.argv.slice(2)

/** Where one build writes: a folder, and a name in Redis. */
interface Place {
  readonly folder: string
  readonly name: string
}

type Step = (place: Place) => Effect.Effect<unknown, unknown, Redis.Redis | Scope.Scope>

/** Both return what is in the place as it looks in memory: `write` before it was stored, `read` after it was found. */
interface Format {
  readonly write: Step
  readonly read: Step
}

const fail = (message: string): Effect.Effect<never> => Effect.die(new Error(message))

// -------------------------------------------------------------------------------------
// journals
// -------------------------------------------------------------------------------------

const runBatch = <In, A, E>(path: string, requests: ReadonlyArray<In>, task: Batch.Task<In, A, E, LLM.LLM>) =>
  Effect.gen(function* () {
    const journal = yield* Batch.journal(path)
    const llm = yield* scripted("")
    const run = Batch.run(requests, { task, journal, concurrency: 1, retries: 0, resume: "unfinished" })
    const { exits } = yield* Effect.provideService(run, LLM.LLM, llm)
    return exits.map(plain)
  }).pipe(Effect.provide(NodeContext.layer))

/** A journal with an exit for each request. To read it, no request may be asked. */
const journalOf = <In, A, E>(
  file: string,
  requests: ReadonlyArray<In>,
  task: Batch.Task<In, A, E, LLM.LLM>,
  exits: ReadonlyArray<Exit.Exit<A, E>>,
  found: ReadonlyArray<Exit.Exit<A, E>> = exits
): Format => ({
  write: ({ folder }) => {
    let next = 0
    const run = runBatch(`${folder}/${file}`, requests, {
      ...task,
      ask: () => exits[next++] ?? fail("There is no exit.")
    })
    return Effect.as(run, found.map(plain))
  },
  read: ({ folder }) =>
    runBatch(`${folder}/${file}`, requests, {
      ...task,
      ask: (request) => fail(`The journal has no result of ${JSON.stringify(request)}.`)
    })
})

const succeeded = Values.responses.map((response) => Exit.succeed(response))
const failed = Values.errors.map((error) => Exit.fail(error))

const texts = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, index) => `Frage ${index} 😀`)

const embedded = Values.vectors.map(([, vector], index): Exit.Exit<EmbeddingResponse, LLMError.LLMError> =>
  Exit.succeed({
    provider: "test",
    model: "embed",
    // JSON has no negative zero.
    embeddings: [vector.map((value) => value + 0), [index]],
    usage: Usage.make({ inputTokens: 3, estimated: true }),
    latency: 0.5,
    attempts: Values.attempts
  })
)

class Refused extends Schema.TaggedError<Refused>()("Refused", {
  at: Schema.DateTimeUtc,
  after: Schema.DurationFromMillis,
  note: Schema.optionalWith(Schema.String, { exact: true })
}) {
  override get message(): string {
    return `Refused: ${this.note ?? ""}`
  }
}

/** The fields that the results of a user's own task can have. */
const Result = Schema.Struct({
  when: Schema.Date,
  utc: Schema.DateTimeUtc,
  took: Schema.DurationFromMillis,
  large: Schema.BigInt,
  price: Schema.BigDecimal,
  page: Schema.URL,
  bytes: Schema.Uint8ArrayFromBase64,
  secret: Schema.Redacted(Schema.String),
  count: Schema.NumberFromString,
  nothing: Schema.NullOr(Schema.String),
  maybe: Schema.OptionFromNullOr(Schema.Number),
  absent: Schema.optionalWith(Schema.Number, { exact: true }),
  either: Schema.Union(
    Schema.Struct({ kind: Schema.Literal("a"), a: Schema.Number }),
    Schema.Struct({ kind: Schema.Literal("b"), b: Schema.Date })
  ),
  names: Schema.Record({ key: Schema.String, value: Schema.Array(Schema.Boolean) }),
  pair: Schema.Tuple(Schema.String, Schema.Int),
  any: Schema.Unknown
})

const result = (index: number): typeof Result.Type => ({
  when: new Date(Date.UTC(2026, 0, 1 + index, 12, 30, 0, 5)),
  utc: DateTime.unsafeMake(index * 1e11),
  took: Duration.millis(index * 1.5),
  large: 2n ** 70n + BigInt(index),
  price: Option.getOrThrow(Either.getRight(Schema.decodeEither(Schema.BigDecimal)("0.10"))),
  page: new URL("https://example.com/ä?q=1#x"),
  bytes: new Uint8Array([0, 255, index]),
  secret: Either.getOrThrow(Schema.decodeEither(Schema.Redacted(Schema.String))(`sk-${index}`)),
  count: index + 0.5,
  nothing: index % 2 === 0 ? null : "",
  maybe: index % 2 === 0 ? Option.none() : Option.some(index),
  ...(index % 3 === 0 ? {} : { absent: index }),
  either: index % 2 === 0 ? { kind: "a", a: index } : { kind: "b", b: new Date(index) },
  names: { "": [true], "é.b": [], constructor: [false] },
  pair: ["x", index],
  any: { deep: [1, null, { x: "y" }] }
})

/** Values that Effect 4 has no JSON for by themselves. */
const Native = Schema.Struct({
  option: Schema.Option(Schema.Number),
  set: Schema.ReadonlySet(Schema.String),
  error: Schema.Option(Refused)
})

const native = (index: number): typeof Native.Type => ({
  option: index === 0 ? Option.none() : Option.some(index),
  set: new Set(["a", "é"].slice(0, index)),
  error: index === 1 ? Option.none() : Option.some(refused(index))
})

const refused = (index: number): Refused =>
  new Refused({ at: DateTime.unsafeMake(index), after: Duration.millis(index), ...(index === 0 ? {} : { note: "é" }) })

const numbers: ReadonlyArray<number> = [0, 1, 2, 3]

const taskOf = <A, I>(name: string, success: Schema.Schema<A, I>): Batch.Task<number, A, Refused, LLM.LLM> =>
  Batch.makeTask({ name, ask: (): Effect.Effect<A, Refused> => fail("It is replaced."), success, failure: Refused })

const journals: Readonly<Record<string, Format>> = {
  "journal of chats: answers": journalOf("chats.ndjson", texts(succeeded.length), Batch.chat, succeeded),
  "journal of chats: every error": journalOf("errors.ndjson", texts(failed.length), Batch.chat, failed),
  "journal of chats: causes": journalOf("causes.ndjson", texts(Values.causes.length), Batch.chat, Values.causes),
  "journal of chats: defects": journalOf(
    "defects.ndjson",
    texts(Values.defects.length),
    Batch.chat,
    Values.defects.map(([defect]) => Exit.die(defect)),
    Values.defects.map(([, found]) => Exit.die(found))
  ),
  "journal of embeddings": journalOf("vectors.ndjson", texts(embedded.length), Batch.embed, embedded),
  "journal of a user's task": journalOf("task.ndjson", [...numbers, 4], taskOf("results", Result), [
    ...numbers.map((index) => Exit.succeed(result(index))),
    Exit.fail(refused(0))
  ]),
  "journal of a user's task with Options and Sets": journalOf("native.ndjson", numbers, taskOf("natives", Native), [
    ...numbers.slice(0, 3).map((index) => Exit.succeed(native(index))),
    Exit.fail(refused(1))
  ])
}

// -------------------------------------------------------------------------------------
// snapshots of conversations
// -------------------------------------------------------------------------------------

const snapshots: Format = {
  write: ({ folder }) =>
    Effect.gen(function* () {
      const all = yield* Effect.forEach(Values.requests, ({ messages }) => Conversation.make({ messages }))
      const lines = yield* Effect.forEach(all, ({ snapshot }) => snapshot)
      writeFileSync(`${folder}/snapshots.ndjson`, lines.join("\n"))
      return plain(yield* Effect.forEach(all, ({ messages }) => messages))
    }),
  read: ({ folder }) =>
    Effect.map(
      Effect.forEach(readFileSync(`${folder}/snapshots.ndjson`, "utf8").split("\n"), (line) =>
        Effect.flatMap(Conversation.restore(line), ({ messages }) => messages)
      ),
      plain
    )
}

// -------------------------------------------------------------------------------------
// caches
// -------------------------------------------------------------------------------------

const complete = Values.responses.filter(ResponseCache.isComplete)

/** Chats and embeddings behind caches. To read them, no provider may be called. */
const cachedIn = (storeIn: (place: Place) => Layer.Layer<CacheStore.CacheStore, unknown, Redis.Redis>): Format => {
  const calls = (place: Place, isRead: boolean) =>
    Effect.gen(function* () {
      const responses = yield* ResponseCache.make({ ttl: "1 day", scope: "é/{x}", storeTimeout: "1 minute" })
      const vectors = yield* EmbeddingCache.make({ ttl: "1 day", storeTimeout: "1 minute" })
      let next = 0
      const provider: LLM.Service = {
        ...(yield* scripted("")),
        chat: () =>
          Effect.suspend(() => {
            const response = complete[next++ % complete.length]
            return isRead || response === undefined ? fail("The answer is not in the cache.") : Effect.succeed(response)
          }),
        embed: (input) =>
          Effect.suspend(() => {
            const found = Values.vectors.find(([text]) => JSON.stringify(input).includes(JSON.stringify(text)))
            return isRead || found === undefined
              ? fail("The vector is not in the cache.")
              : Effect.succeed({
                  provider: "test",
                  model: "embed",
                  embeddings: [found[1]],
                  usage: Usage.empty,
                  latency: 1,
                  attempts: []
                })
          })
      }
      const llm = yield* Effect.flatMap(responses.middleware(provider), vectors.middleware)
      const answers = yield* Effect.forEach(Values.requests, (request) => llm.chat(request))
      const embeddings = yield* Effect.forEach(Values.vectors, ([text]) => llm.embed({ input: [text] }))
      return plain({
        // The rest is of the call.
        answers: answers.map(
          ({ content, finishReason, id, model, provider, providerMetadata, rawFinishReason, text }) => ({
            content,
            finishReason,
            id,
            model,
            provider,
            providerMetadata,
            rawFinishReason,
            text
          })
        ),
        embeddings: embeddings.map(({ embeddings, model, provider }) => ({ embeddings, model, provider }))
      })
    }).pipe(Effect.provide(storeIn(place)))
  return { write: (place) => calls(place, false), read: (place) => calls(place, true) }
}

const caches: Readonly<Record<string, Format>> = {
  "caches in files": cachedIn(({ folder }) =>
    CacheStore.layerKeyValueStore.pipe(
      Layer.provide(KeyValueStore.layerFileSystem(`${folder}/cache`)),
      Layer.provide(NodeContext.layer)
    )
  ),
  "caches in Redis": cachedIn(({ name }) => RedisCacheStore.layer({ name })),
  "caches in the persistence of Effect": cachedIn(({ name }) =>
    PersistenceStore.layer(`${name}-persistence`).pipe(Layer.provide(backingIn(url)))
  )
}

// -------------------------------------------------------------------------------------
// the gateway
// -------------------------------------------------------------------------------------

const minute = 60_000

/** A time in the past month at which slots of every length begin. */
const historyStart = Math.floor(Date.now() / 86_400_000 - 3) * 86_400_000

const historyOf = (folder: string) =>
  Effect.provide(DashboardHistory.makeFile({ path: `${folder}/history.jsonl` }), NodeContext.layer)

const queryHistory = ({ query }: DashboardHistory.Service) =>
  Effect.map(query(historyStart - minute, historyStart + 200 * minute), plain)

const history: Format = {
  write: ({ folder }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const made = yield* historyOf(folder)
        yield* made.add(
          Array.from({ length: 50 }, (_, index) =>
            JSON.stringify({
              at: historyStart + index * minute,
              model: index % 2 === 0 ? "openai/gpt-large" : "é 😀 \u2028",
              outcomes: { ok: index, RateLimitError: 1 },
              in: Number.MAX_SAFE_INTEGER,
              cost: index / 3,
              ...(index % 3 === 0 ? {} : { unpriced: index, latency: [10, 1, 0, index], first: [-5, 2] })
            })
          )
        )
        return yield* queryHistory(made)
      })
    ),
  read: ({ folder }) => Effect.scoped(Effect.flatMap(historyOf(folder), queryHistory))
}

const hashOf = (secret: string): string => createHash("sha256").update(secret).digest("hex")

const keyOf = (secret: string, settings: Partial<VirtualKey.VirtualKey> = {}): VirtualKey.VirtualKey => ({
  id: `key-${secret}`,
  hash: hashOf(secret),
  createdAt: DateTime.unsafeMake("2026-01-02T03:04:05.678Z"),
  ...settings
})

const virtualKeys: ReadonlyArray<VirtualKey.VirtualKey> = [
  keyOf("least"),
  keyOf("most", {
    label: "Équipe {b}",
    models: ["openai/*", "ä 😀"],
    budget: { dollars: 0.1, period: "day" },
    rateLimit: {
      requestsPerMinute: 60,
      requestsPerDay: 5,
      tokensPerMinute: Number.MAX_SAFE_INTEGER,
      maxConcurrency: 4
    },
    weight: 0.5,
    expiresAt: DateTime.unsafeMake("2999-01-01"),
    budgetAccount: "key-most/dollars/day"
  }),
  keyOf("tokens", { models: [], budget: { tokens: 7 }, configured: true, createdAt: DateTime.unsafeMake(0) })
]

const accessIn = ({ name }: Place) => RedisAccessStore.make({ name, cacheTime: "1 millis" })

/** The key after it was revoked, which cannot be put again. */
const revoked = keyOf("revoked")

const clientKeys: Format = {
  write: (place) =>
    Effect.gen(function* () {
      const store = yield* accessIn(place)
      yield* Effect.forEach([...virtualKeys, revoked], store.put)
      yield* store.remove(revoked.id)
      return plain({
        found: virtualKeys.map(Option.some),
        list: [...virtualKeys].sort(
          (one, other) => DateTime.toEpochMillis(one.createdAt) - DateTime.toEpochMillis(other.createdAt)
        ),
        revoked: Option.none()
      })
    }),
  read: (place) =>
    Effect.gen(function* () {
      const store = yield* accessIn(place)
      yield* store.put(revoked).pipe(Logger.withMinimumLogLevel(LogLevel.None))
      return plain({
        found: yield* Effect.forEach(virtualKeys, ({ hash }) => store.find(hash)),
        list: yield* store.list,
        revoked: yield* store.find(revoked.hash)
      })
    })
}

const storedTexts: ReadonlyArray<readonly [key: string, text: string]> = [
  ["a", ""],
  ['["caller","response","é/{x}"]', '{"version":1,"text":"😀 \u2028"}'],
  ["", "the empty key"]
]

const storedResponses: Format = {
  write: ({ name }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const store: ResponseStore.Service = yield* RedisResponseStore.make({ name })
        for (const [key, text] of storedTexts) store.unsafeSet(key, text)
        return plain(storedTexts.map(([, text]) => Option.some(text)))
      })
    ),
  read: ({ name }) =>
    Effect.scoped(
      Effect.flatMap(RedisResponseStore.make({ name }), ({ get }) =>
        Effect.map(
          Effect.forEach(storedTexts, ([key]) => get(key)),
          plain
        )
      )
    )
}

const providerText = JSON.stringify({
  openai: [
    {
      model_name: "large",
      type: "chat-completions",
      api_keys: ["sk-é", "sk-2"],
      base_url: "https://example.com/v1",
      rate_limit_capacity: 20,
      rate_limit_refill_rate: 0.5,
      max_retries: 1
    }
  ],
  $aliases: { fast: "openai/large" }
})

const providerFile: Format = {
  write: ({ folder }) => {
    writeFileSync(`${folder}/provider.json`, providerText)
    return Effect.map(Models.parseFile(providerText), plain)
  },
  read: ({ folder }) => Effect.map(Effect.provide(Models.loadFile(`${folder}/provider.json`), NodeContext.layer), plain)
}

// -------------------------------------------------------------------------------------
// Redis
// -------------------------------------------------------------------------------------

const poolKeys: ReadonlyArray<KeyPool.KeyInput> = [
  "ready",
  "resting",
  "disabled",
  "rate-limited",
  "limited twice",
  "out-of-quota",
  "refused",
  "reweighted",
  "for ever"
].map((id) => ({ key: `sk-${id}`, id, weight: 2 }))

const poolIn = ({ name }: Place) => RedisKeyPool.make({ provider: name, keys: poolKeys, pollInterval: "10 millis" })

/** The states with their remaining time in whole minutes, since time passes. */
const healthOfKeys = ({ status }: KeyPool.Service) =>
  Effect.map(status, ({ keys }) =>
    keys.map(({ halfOpen, id, state, weight }) => ({
      id,
      weight,
      halfOpen,
      state: state._tag,
      ...("reason" in state
        ? { reason: state.reason, minutes: String(Math.ceil(Duration.toMinutes(state.remaining))) }
        : {})
    }))
  )

const settled = (pool: KeyPool.Service, id: string, verdict: KeyPool.Verdict) =>
  Effect.flatMap(
    pool.reserve({
      exclude: new Set(
        poolKeys.flatMap((key) => (typeof key === "object" && "id" in key && key.id !== id ? [String(key.id)] : []))
      )
    }),
    ({ settle }) => settle(verdict)
  )

const keyHealth: Format = {
  write: (place) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = yield* poolIn(place)
        yield* pool.rest("resting", "10 minutes")
        yield* pool.disable("disabled")
        yield* settled(pool, "rate-limited", KeyPool.Verdict.RateLimited({ retryAfter: Duration.minutes(7.5) }))
        yield* settled(pool, "limited twice", KeyPool.Verdict.RateLimited({ retryAfter: Duration.zero }))
        yield* settled(pool, "out-of-quota", KeyPool.Verdict.OutOfQuota({}))
        yield* settled(pool, "refused", KeyPool.Verdict.Refused())
        yield* pool.reweight("reweighted", 7.25)
        yield* pool.rest("for ever", Duration.infinity)
        return yield* healthOfKeys(pool)
      })
    ),
  read: (place) => Effect.scoped(Effect.flatMap(poolIn(place), healthOfKeys))
}

const claims: ReadonlyArray<Claim> = [
  { account: "all", limit: 2 ** 60, period: "forever", amount: 2 ** 53 - 1 },
  { account: "é/{x}", limit: 1e12, period: "year", amount: 0.1 * 1e12 },
  { account: "rolling", limit: 100, period: { rolling: "1 day" }, amount: 3 },
  {
    account: "zone",
    limit: 100,
    period: { calendar: "month", timeZone: DateTime.zoneUnsafeMakeNamed("Asia/Kolkata") },
    amount: 4
  }
]

const budgetsIn = ({ name }: Place) => RedisBudgetStore.make({ name })

const statusOfAccounts = (store: BudgetStore.Store) =>
  Effect.gen(function* () {
    const statuses = yield* Effect.forEach(claims, store.accountStatus)
    return plain({
      statuses: statuses.map((status) => ({ ...status, resetsAt: Math.round(status.resetsAt / minute) })),
      accounts: [...(yield* store.accounts)].sort()
    })
  })

const budgets: Format = {
  write: (place) =>
    Effect.scoped(
      Effect.gen(function* () {
        const store = yield* budgetsIn(place)
        yield* store.reserve(claims)
        yield* store.settle(claims.map((claim) => ({ claim, spent: claim.amount, unpriced: 2 })))
        return yield* statusOfAccounts(store)
      })
    ),
  read: (place) => Effect.scoped(Effect.flatMap(budgetsIn(place), statusOfAccounts))
}

/** Limits that do not refill while a test runs. */
const limiterIn = ({ name }: Place) =>
  RedisRateLimiter.make({
    name,
    capacity: 20,
    refillRate: 1e-6,
    requestsPerMinute: 100,
    requestsPerDay: 50,
    tokensPerMinute: 1000,
    maxConcurrency: 9
  })

const used = ({ status }: RateLimiter.Service) =>
  Effect.map(status, ({ available, capacity, day, minute, refillRate }) =>
    plain({ available: Math.round(available), capacity, day, minute, refillRate })
  )

const limits: Format = {
  write: (place) =>
    Effect.scoped(
      Effect.gen(function* () {
        const limiter = yield* limiterIn(place)
        for (let call = 0; call < 3; call++) yield* Effect.flatMap(limiter.reserve(10), ({ settle }) => settle(7))
        yield* limiter.take(2)
        return yield* used(limiter)
      })
    ),
  read: (place) =>
    Effect.scoped(
      Effect.gen(function* () {
        const limiter = yield* limiterIn(place)
        // The status of a limiter is that of its last reply.
        const { giveBack = fail("A call can be given back.") } = yield* limiter.reserve(0)
        yield* giveBack
        return yield* used(limiter)
      })
    )
}

const formats: Readonly<Record<string, Format>> = {
  ...journals,
  "snapshots of conversations": snapshots,
  ...caches,
  "history of the dashboard": history,
  "provider file": providerFile,
  "client keys in Redis": clientKeys,
  "responses in Redis": storedResponses,
  "health of keys in Redis": keyHealth,
  "budgets in Redis": budgets,
  "limits in Redis": limits
}

// -------------------------------------------------------------------------------------
// services that both builds use at the same time
// -------------------------------------------------------------------------------------

type Command = (given: Readonly<Record<string, unknown>>) => Effect.Effect<unknown, unknown>

/** Ends what a call holds. */
type Release = (isServed: boolean) => Effect.Effect<void>

const shared = Effect.gen(function* () {
  const held = new Map<number, Release>()
  const hold = (release: Release): number => {
    held.set(held.size + 1, release)
    return held.size
  }
  const quick = { leaseTime: "3 seconds", pollInterval: "10 millis" } as const
  const pool = yield* RedisKeyPool.make({
    ...quick,
    provider: "live",
    keys: ["a", "b"].map((id) => ({ key: `sk-${id}`, id, maxConcurrency: 2 }))
  })
  const limiters = yield* Effect.forEach(["3", "4"], (first) =>
    RedisRateLimiter.make({ name: `live ${first}`, capacity: 30, refillRate: 1e-6, maxWait: 0 })
  )
  const slots = yield* RedisRateLimiter.make({ name: "slots", maxConcurrency: 3, leaseTime: "3 seconds" })
  const accounts = yield* RedisBudgetStore.make({ name: "live", leaseTime: "3 seconds" })
  const health = yield* RedisDeploymentHealth.make({ name: "live", pollInterval: "20 millis" })

  let isFailing = false
  let calls = 0
  const member = yield* scripted(
    Effect.suspend(() => {
      calls++
      const response = Values.responses[0]
      return isFailing || response === undefined
        ? Effect.fail(
            new LLMError.ProviderUnavailableError({ provider: "test", model: "m", attempts: [], message: "down" })
          )
        : Effect.succeed(response)
    })
  )
  const breaker = { failures: 2, cooldown: { base: "3 seconds" } } as const
  const balance = yield* Effect.provideService(
    Balance.make([{ llm: member, id: "a" }], { maxWait: 0, breaker }),
    Balance.DeploymentHealth,
    health
  )

  const sharing = yield* Layer.build(RedisSharing.layer({ name: "live" }))
  const gateway = yield* start({ access: { adminToken: "admin-token" } }).pipe(
    Effect.provideServiceEffect(
      AccessStore.AccessStore,
      RedisAccessStore.make({ name: "live", cacheTime: "1 millis" })
    ),
    Effect.provideServiceEffect(ResponseStore.ResponseStore, RedisResponseStore.make({ name: "live" })),
    Effect.provide(sharing)
  )

  const orTag = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
    Effect.match(effect, { onFailure: ({ _tag }): unknown => ({ error: _tag }), onSuccess: (value): unknown => value })
  const claimOf = (amount: unknown, first: unknown): Claim => ({
    account: `first spent by ${String(first)}`,
    limit: 10,
    period: "forever",
    amount: Number(amount)
  })

  const commands: Readonly<Record<string, Command>> = {
    reserveKey: ({ maxWait }) =>
      orTag(
        Effect.map(pool.reserve({ maxWait: Number(maxWait ?? 0) }), ({ key, settle }) => ({
          key: key.id,
          hold: hold((isServed) =>
            settle(
              isServed
                ? KeyPool.Verdict.Served({ latency: 5 })
                : KeyPool.Verdict.RateLimited({ retryAfter: Duration.minutes(1) })
            )
          )
        }))
      ),
    release: ({ hold, isServed = true }) =>
      Effect.suspend(() => held.get(Number(hold))?.(isServed === true) ?? fail("Nothing is held.")),
    keys: () =>
      Effect.map(pool.status, ({ keys }) => keys.map(({ id, inFlight, state }) => [id, inFlight, state._tag])),
    enableKey: ({ key }) => pool.enable(String(key)),
    take: ({ first }) =>
      Effect.suspend(() => {
        const limiter = limiters[first === 3 ? 0 : 1]
        return limiter === undefined ? fail("There is no limiter.") : orTag(Effect.as(limiter.take(1), true))
      }),
    reserveSlot: ({ maxWait }) =>
      orTag(
        Effect.map(slots.reserve(1, { maxWait: Number(maxWait ?? 0) }), ({ settle }) => ({
          hold: hold(() => settle(1))
        }))
      ),
    spend: ({ amount, first }) =>
      Effect.gen(function* () {
        const refused = yield* accounts.reserve([claimOf(amount, first)])
        return Option.isSome(refused)
          ? { refused: refused.value.spent + refused.value.reserved }
          : {
              hold: hold((isServed) =>
                Effect.asVoid(
                  accounts.settle([
                    { claim: claimOf(amount, first), spent: isServed ? Number(amount) : 0, unpriced: 0 }
                  ])
                )
              )
            }
      }),
    spent: ({ first }) =>
      Effect.map(accounts.accountStatus(claimOf(0, first)), ({ reserved, spent }) => ({ reserved, spent })),
    callMember: ({ fails }) =>
      Effect.suspend(() => {
        isFailing = fails === true
        const before = calls
        return Effect.map(orTag(Effect.as(balance.chat("?"), "answer")), (ending) => ({
          ending,
          isCalled: calls > before
        }))
      }),
    member: () => Effect.map(balance.deployments, ([deployment]) => deployment?.state._tag),
    gateway: () => Effect.succeed(gateway.url)
  }
  return commands
})

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

const runtime = ManagedRuntime.make(Redis.layer({ url, timeout: "1 minute" }))

const program = Effect.gen(function* () {
  const redis = yield* Redis.Redis
  const commands = yield* shared
  const steps =
    (step: "write" | "read"): Command =>
    ({ folder, format, name }) => {
      const found = formats[String(format)]
      return found === undefined
        ? fail(`There is no format ${String(format)}.`)
        : Effect.scoped(
            Effect.provideService(found[step]({ folder: String(folder), name: String(name) }), Redis.Redis, redis)
          )
    }
  const all: Readonly<Record<string, Command>> = {
    ...commands,
    formats: () => Effect.succeed(Object.keys(formats)),
    write: steps("write"),
    read: steps("read")
  }
  yield* Effect.async<never>(() => {
    process.on("message", ({ command, given, id }: Message) => {
      const run = all[command] ?? (() => fail(`There is no command ${command}.`))
      void runtime.runPromiseExit(Effect.suspend(() => run(given))).then((exit) =>
        process.send?.({
          id,
          ...(Exit.isSuccess(exit) ? { value: exit.value } : { failure: String(exit.cause) })
        })
      )
    })
    process.send?.({ id: 0, value: "ready" })
  })
})

interface Message {
  readonly id: number
  readonly command: string
  readonly given: Readonly<Record<string, unknown>>
}

process.on("disconnect", () => process.exit())
await runtime.runPromise(Effect.scoped(program))
