/**
 * Who may ask the gateway, for which models, how much and how fast: virtual keys, and a token for those who administer it.
 *
 * A virtual key is a secret of the gateway's own. Clients send it where they would send a provider's (`Authorization: Bearer`, or
 * `x-api-key` as Anthropic's clients do), and never see those of the providers.
 *
 * @example
 * ```ts
 * import { Access } from "effect-llm/gateway"
 *
 * const Keys = Access.layer({
 *   adminToken: "a long random text",
 *   keys: [
 *     { key: "sk-team-a", label: "team-a", models: ["openai/*", "fast"], budget: { dollars: 20, period: "day" } },
 *     { key: "sk-team-b", label: "team-b", rateLimit: { requestsPerMinute: 60, maxConcurrent: 4 } }
 *   ]
 * })
 * ```
 *
 * @since 0.1.0
 */
import type { ConfigError } from "effect"
import { FileSystem } from "@effect/platform"
import type { Redacted } from "effect"
import { Config, Context, DateTime, Effect, Layer, Option, Ref, Schema } from "effect"
import type { Status as BudgetStatus } from "../Budget.js"
import { sameValue } from "../internal/sameValue.js"
import type { Middleware } from "../LLM.js"
import type { LLMError } from "../LLMError.js"
import type { AccessStoreError } from "./AccessStore.js"
import * as Stores from "./AccessStore.js"
import * as Allowance from "./allowance.js"
import * as Digest from "./digest.js"
import * as Secrets from "./secrets.js"
import type { Settings, VirtualKey } from "./VirtualKey.js"
import * as VirtualKeys from "./VirtualKey.js"
import * as WrittenKeys from "./writtenKeys.js"

/**
 * Who makes a request.
 *
 * @since 0.1.0
 * @category model
 */
export interface Caller {
  /** The id of the key; empty where no key is needed. */
  readonly id: string
  /** For whom the calls are counted; empty where no key is needed. */
  readonly label: string
  /** Whether the caller may ask a model that has these names. */
  readonly allows: (names: ReadonlyArray<string>) => boolean
  /** The limits and the budget of the caller, around a model. */
  readonly around: Middleware
}

/**
 * How the budget of a key stands.
 *
 * @since 0.1.0
 * @category model
 */
export interface KeyBudget {
  readonly key: VirtualKey
  readonly status: BudgetStatus
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Nobody has configured a key, and so everybody may ask: only for a gateway that nobody else can reach. */
  readonly isOpen: boolean
  /** Whom a secret belongs to. That of the administration may ask everything. */
  readonly caller: (
    secret: Option.Option<Redacted.Redacted<string>>
  ) => Effect.Effect<Caller, AccessDeniedError | AccessStoreError>
  /** Fails unless the secret is that of the administration. */
  readonly administrator: (secret: Option.Option<Redacted.Redacted<string>>) => Effect.Effect<void, AccessDeniedError>
  /** All keys that are not revoked, expired ones included. */
  readonly list: Effect.Effect<ReadonlyArray<VirtualKey>, AccessStoreError>
  /** The budgets of all keys that are good. Where the store is away, of those that were used here. */
  readonly budgets: Effect.Effect<ReadonlyArray<KeyBudget>>
  /** Makes a new key. Its secret is told here and never again. */
  readonly create: (
    settings: Settings
  ) => Effect.Effect<
    { readonly secret: Redacted.Redacted<string>; readonly key: VirtualKey },
    AccessStoreError | InvalidAccessError
  >
  /** Forgets a key, and says whether there was one of this id. */
  readonly revoke: (id: string) => Effect.Effect<boolean, AccessStoreError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class Access extends Context.Tag("effect-llm/gateway/Access")<Access, Service>() {}

/**
 * A secret does not open what it was shown for. `forbidden`: it is good, but not for this.
 *
 * @since 0.1.0
 * @category errors
 */
export class AccessDeniedError extends Schema.TaggedError<AccessDeniedError>()("AccessDeniedError", {
  reason: Schema.Literal("missing", "unknown", "expired", "forbidden")
}) {
  override get message(): string {
    switch (this.reason) {
      case "missing":
        return "No API key was sent. Send one as 'Authorization: Bearer' or 'x-api-key'."
      case "unknown":
        return "The API key is not valid."
      case "expired":
        return "The API key has expired."
      case "forbidden":
        return "This needs the token of the gateway's administration."
    }
  }
}

/**
 * Keys make no sense. All faults are told, none with a secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAccessError extends Schema.TaggedError<InvalidAccessError>()("InvalidAccessError", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The gateway's keys cannot be as asked for: ${this.faults.join("; ")}`
  }
}

// -------------------------------------------------------------------------------------
// constructors
// -------------------------------------------------------------------------------------

/**
 * A key whose secret is chosen beforehand. It should be as random as those that `create` makes.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface KeyOptions extends Settings {
  /** The secret, or `{ sha256 }`: its SHA-256 in hexadecimal digits, so that the secret need not be configured. */
  readonly key: string | Redacted.Redacted<string> | { readonly sha256: string }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export interface Options {
  /** Keys that are there from the beginning. @default none */
  readonly keys?: ReadonlyArray<KeyOptions>
  /** What opens everything under `/admin`, and asks any model. @default nothing does */
  readonly adminToken?: string | Redacted.Redacted<string>
}

const keyOf = ({ key, ...settings }: KeyOptions, createdAt: DateTime.Utc): VirtualKey => {
  const hash = Secrets.digestOf(key)
  return { ...settings, id: Digest.idOf(hash), hash, createdAt }
}

const validate = Schema.is(VirtualKeys.VirtualKey)

const faultsOf = (given: ReadonlyArray<KeyOptions>, keys: ReadonlyArray<VirtualKey>): ReadonlyArray<string> => {
  const hashes = keys.map(({ hash }) => hash)
  const secrets = given.flatMap(({ key }, index) => Secrets.faultsOf(`keys[${index}]`, key))
  const others = keys.flatMap((key, index) => [
    ...(validate(key) ? [] : [`keys[${index}]: is not as a key must be`]),
    ...(hashes.indexOf(key.hash) < index
      ? [`keys[${index}]: the same secret as keys[${hashes.indexOf(key.hash)}]`]
      : [])
  ])
  return [...secrets, ...others]
}

/** Whoever asks a gateway without keys, and the administration. */
const everything = (id: string): Caller => ({ id, label: id, allows: () => true, around: Effect.succeed })

const administration = everything("admin")

/** Logs a price that is missing for a budget in dollars, once for each model. */
const priceReporter = (): ((error: LLMError) => Effect.Effect<void>) => {
  const reported = new Set<string>()
  return (error) =>
    Effect.suspend(() => {
      if (error._tag !== "BudgetExceededError" || error.reason !== "unknown-price") return Effect.void
      const name = `${error.provider}/${error.model}`
      if (reported.has(name)) return Effect.void
      reported.add(name)
      return Effect.logWarning(
        `The price of ${name} is not known, so keys with a budget in dollars cannot use it. Set its "price" in provider.json.`
      )
    })
}

/** A key in use, with its limits as they stand. */
interface Known {
  readonly key: VirtualKey
  readonly caller: Caller
  readonly budgets: Effect.Effect<ReadonlyArray<BudgetStatus>>
}

/**
 * Access by the keys in the `AccessStore` in context, or else in memory of its own.
 *
 * Budgets keep their books in the `BudgetStore` in context, and in dollars go by the prices in context and those of the models
 * themselves. A call to a model without a known price is refused where the budget of the key is in dollars (`BudgetExceededError`
 * with the reason `unknown-price`); the log names each such model once. The rates of a key hold
 * for each gateway by itself, or for all of them where the `RateLimiter.Maker` in context shares what it makes. Keys of the options are put into the store at each start. One of them that was revoked comes back
 * with the next start where the store is in memory, and not in a store that remembers it, such as that in Redis.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, InvalidAccessError | AccessStoreError> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const shared = yield* Effect.serviceOption(Stores.AccessStore)
    const store = Option.isSome(shared) ? shared.value : yield* Stores.memory
    const now = yield* DateTime.now
    const { adminToken, keys = [] } = options
    const configured = keys.map((key) => keyOf(key, now))
    const faults = [
      ...faultsOf(keys, configured),
      ...(adminToken === undefined ? [] : Secrets.faultsOf("adminToken", adminToken))
    ]
    if (faults.length > 0) return yield* new InvalidAccessError({ faults })
    const admin = adminToken === undefined ? undefined : Secrets.digestOf(adminToken)
    const inUse = yield* Ref.make<ReadonlyMap<string, Known>>(new Map())
    const reportPrice = priceReporter()

    /** Limits go on as they stand for as long as the key says the same. */
    const knownOf = (key: VirtualKey): Effect.Effect<Known, InvalidAccessError> =>
      Effect.flatMap(Ref.get(inUse), (all) => {
        const known = all.get(key.id)
        if (known !== undefined && sameValue(known.key, key)) return Effect.succeed(known)
        return Allowance.make(key, reportPrice).pipe(
          Effect.provide(context),
          Effect.mapError((error) => new InvalidAccessError({ faults: [error.message] })),
          Effect.flatMap(({ around, budgets }) => {
            const made: Known = {
              key,
              budgets,
              caller: {
                id: key.id,
                label: key.label ?? key.id,
                allows: (names) => VirtualKeys.allows(key, names),
                around
              }
            }
            // Another request may have been first: there is one limiter for each key.
            return Ref.modify(inUse, (all): readonly [Known, ReadonlyMap<string, Known>] => {
              const other = all.get(key.id)
              return other !== undefined && sameValue(other.key, key)
                ? [other, all]
                : [made, new Map(all).set(key.id, made)]
            })
          })
        )
      })

    const callerOf = (key: VirtualKey) => Effect.map(knownOf(key), ({ caller }) => caller)

    yield* Effect.forEach(configured, (key) => Effect.zipRight(callerOf(key), store.put(key)), { discard: true })
    // Who has a store means to have keys, though there may be none yet.
    const isOpen = admin === undefined && configured.length === 0 && Option.isNone(shared)

    const isAdministration = (hash: string): boolean => admin !== undefined && Digest.equal(hash, admin)

    const denied = (reason: AccessDeniedError["reason"]) => Effect.fail(new AccessDeniedError({ reason }))

    const keyBehind = (hash: string) =>
      Effect.flatMap(store.find(hash), (found) =>
        Option.isSome(found) && Digest.equal(found.value.hash, hash) ? Effect.succeed(found.value) : denied("unknown")
      )

    const current = (key: VirtualKey) =>
      key.expiresAt === undefined
        ? Effect.succeed(key)
        : Effect.flatMap(DateTime.isFuture(key.expiresAt), (isGood) =>
            isGood ? Effect.succeed(key) : denied("expired")
          )

    const budgetsOf = (key: VirtualKey): Effect.Effect<ReadonlyArray<KeyBudget>> =>
      Effect.flatMap(current(key), knownOf).pipe(
        Effect.flatMap(({ budgets }) => Effect.map(budgets, (all) => all.map((status) => ({ key, status })))),
        // Whoever comes with such a key is told what is wrong with it.
        Effect.orElseSucceed(() => [])
      )

    return {
      isOpen,
      budgets: Effect.orElse(store.list, () =>
        Effect.map(Ref.get(inUse), (all) => Array.from(all.values(), ({ key }) => key))
      ).pipe(
        Effect.flatMap((keys) =>
          Effect.forEach(
            keys.filter(({ budget }) => budget !== undefined),
            budgetsOf,
            { concurrency: 16 }
          )
        ),
        Effect.map((all) => all.flat())
      ),
      caller: (secret) => {
        if (isOpen) return Effect.succeed(everything(""))
        if (Option.isNone(secret)) return denied("missing")
        const hash = Digest.of(secret.value)
        return isAdministration(hash)
          ? Effect.succeed(administration)
          : keyBehind(hash).pipe(
              Effect.flatMap(current),
              // It was checked when it was made, but the store may have it from another version.
              Effect.flatMap((key) =>
                Effect.mapError(callerOf(key), ({ message }) => new Stores.AccessStoreError({ detail: message }))
              )
            )
      },
      administrator: (secret) => {
        if (Option.isNone(secret)) return denied("missing")
        return isAdministration(Digest.of(secret.value)) ? Effect.void : denied("forbidden")
      },
      list: store.list,
      create: (settings) =>
        Effect.gen(function* () {
          const secret = Digest.newKey()
          const key = keyOf({ ...settings, key: secret }, yield* DateTime.now)
          yield* callerOf(key)
          yield* store.put(key)
          return { secret, key }
        }),
      revoke: (id) =>
        Effect.zipRight(
          Ref.update(inUse, (all) => new Map([...all].filter(([known]) => known !== id))),
          store.remove(id)
        )
    }
  })

// -------------------------------------------------------------------------------------
// layers
// -------------------------------------------------------------------------------------

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Access, InvalidAccessError | AccessStoreError> =>
  Layer.effect(Access, make(options))

/**
 * Access from the environment, read through Effect's `Config`: `EFFECT_LLM_MASTER_KEY` is the token of the administration, and
 * `EFFECT_LLM_GATEWAY_KEYS` are keys with commas between them, each as `secret` or `label=secret`. What the options say comes
 * beside that. Where there is neither, the gateway is open, and answers on the loopback interface only.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Options = {}
): Layer.Layer<Access, InvalidAccessError | AccessStoreError | ConfigError.ConfigError> =>
  Layer.effect(
    Access,
    Effect.gen(function* () {
      const adminToken = yield* Config.option(Config.redacted(Config.nonEmptyString("EFFECT_LLM_MASTER_KEY")))
      const listed = yield* Config.option(Config.redacted(Config.nonEmptyString("EFFECT_LLM_GATEWAY_KEYS")))
      return yield* make({
        ...options,
        ...(Option.isSome(adminToken) ? { adminToken: adminToken.value } : {}),
        keys: [...(options.keys ?? []), ...Option.match(listed, { onNone: () => [], onSome: WrittenKeys.ofVariable })]
      })
    })
  )

/**
 * The keys of a file: a list in JSON, each with its `key` or the `sha256` of it, and what may be done with it.
 *
 * ```json
 * [
 *   { "sha256": "0f…", "label": "team-a", "models": ["openai/*"], "budget": { "dollars": 20, "period": "day" } },
 *   { "key": "sk-…", "label": "team-b", "rateLimit": { "requestsPerMinute": 60 }, "expiresAt": "2030-01-01T00:00:00Z" }
 * ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const readKeys = (
  path: string
): Effect.Effect<ReadonlyArray<KeyOptions>, InvalidAccessError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.mapError(
      files.readFileString(path),
      ({ message }) => new InvalidAccessError({ faults: [`${path} cannot be read: ${message}`] })
    )
  ).pipe(
    Effect.flatMap((text) =>
      Effect.mapError(
        WrittenKeys.ofFile(text),
        (faults) => new InvalidAccessError({ faults: faults.map((fault) => `${path}: ${fault}`) })
      )
    )
  )
