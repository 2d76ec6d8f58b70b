/** Checks the keys of clients against the configured and the stored ones. */
import { Context, DateTime, Effect, MutableRef, Option, Schema } from "effect"
import type { Status as BudgetStatus } from "../../accounting/budget/model.js"
import { BudgetStore, makeMemory as makeBudgetStore } from "../../accounting/budget/store.js"
import { sameValue } from "../../models/equal.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { AccessStoreError } from "../AccessStore.js"
import * as Stores from "../AccessStore.js"
import type { VirtualKey } from "../VirtualKey.js"
import * as VirtualKeys from "../VirtualKey.js"
import * as KeyLimits from "./keyLimits.js"
import type { Caller, KeyBudget, KeyOptions, Options, Reloaded, Service } from "./model.js"
import { AccessDeniedError, InvalidAccessError } from "./model.js"
import * as Secrets from "./secrets.js"

const keyOf = ({ key, ...settings }: KeyOptions, createdAt: DateTime.Utc): VirtualKey => {
  const hash = Secrets.digestOf(key)
  return { ...settings, id: Secrets.idOf(hash), hash, createdAt }
}

const isVirtualKey = Schema.is(VirtualKeys.VirtualKey)

const faultsOf = (options: ReadonlyArray<KeyOptions>, keys: ReadonlyArray<VirtualKey>): ReadonlyArray<string> => {
  const hashes = keys.map(({ hash }) => hash)
  const secrets = options.flatMap(({ key }, index) => Secrets.faultsOf(`keys[${index}]`, key))
  const others = keys.flatMap((key, index) => [
    ...(isVirtualKey(key) ? [] : [`keys[${index}]: is not a valid key`]),
    ...(hashes.indexOf(key.hash) < index
      ? [`keys[${index}]: the same secret as keys[${hashes.indexOf(key.hash)}]`]
      : [])
  ])
  return [...secrets, ...others]
}

/** The caller of a gateway without keys, and of the admin token. */
const unrestrictedCaller = (id: string): Caller => ({ id, label: id, allows: () => true, around: Effect.succeed })

const adminCaller = unrestrictedCaller("admin")

const anonymousCaller = unrestrictedCaller("")

/** Logs each model without a price that a budget in dollars needs, once. */
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

/** The configured keys, and those of them that are not in the store yet. */
interface Configured {
  /** By the hashes of keys. */
  readonly keys: ReadonlyMap<string, VirtualKey>
  readonly unstored: ReadonlySet<string>
}

/** A key in use, with its limiter and its budget. */
interface ActiveKey {
  readonly key: VirtualKey
  readonly caller: Caller
  readonly budgets: Effect.Effect<ReadonlyArray<BudgetStatus>>
}

/** What the budget of a key counts, such as `tokens day`; undefined without one. */
const countingOf = ({ budget }: VirtualKey): string | undefined =>
  budget && `${"dollars" in budget ? "dollars" : "tokens"} ${budget.period ?? "forever"}`

/** The key with the account of what its budget counts. */
const withAccount = (key: VirtualKey): VirtualKey => {
  const counting = countingOf(key)
  return counting === undefined ? key : { ...key, budgetAccount: `${key.id} ${counting}` }
}

/** Whether two keys have the same settings. Only the store has the real creation time. */
const sameSettings = (self: VirtualKey, that: VirtualKey): boolean =>
  sameValue({ ...self, createdAt: that.createdAt }, that)

/** The changes of a reload. */
const changesOf = (before: ReadonlyMap<string, VirtualKey>, after: ReadonlyMap<string, VirtualKey>): Reloaded => {
  const idsOf = (keys: Iterable<VirtualKey>, isIncluded: (key: VirtualKey) => boolean) =>
    Array.from(keys)
      .filter(isIncluded)
      .map(({ id }) => id)
  return {
    added: idsOf(after.values(), ({ hash }) => !before.has(hash)),
    removed: idsOf(before.values(), ({ hash }) => !after.has(hash)),
    changed: idsOf(after.values(), (key) => before.has(key.hash) && before.get(key.hash) !== key)
  }
}

interface ConfigurableAccess {
  readonly access: Service
  /** Replaces the configured keys; changes nothing where one of them is invalid. */
  readonly configure: (keys: ReadonlyArray<KeyOptions>) => Effect.Effect<Reloaded, InvalidAccessError>
  /** Puts new keys into the store. While the store is unavailable, a key is stored when it is first used instead. */
  readonly syncStore: Effect.Effect<void>
}

/** `mayBeOpen` opens the access to every client when nothing is configured. */
export const makeConfigurable = (
  { adminToken, keys: first = [] }: Options,
  mayBeOpen: boolean
): Effect.Effect<ConfigurableAccess, InvalidAccessError | AccessStoreError> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const shared = yield* Effect.serviceOption(Stores.AccessStore)
    const store = Option.isSome(shared) ? shared.value : yield* Stores.makeMemory
    const admin = adminToken === undefined ? undefined : Secrets.digestOf(adminToken)
    const configured = MutableRef.make<Configured>({ keys: new Map(), unstored: new Set() })
    const activeKeys = MutableRef.make<ReadonlyMap<string, ActiveKey>>(new Map())
    const reportPrice = priceReporter()

    const sharedBudgets = yield* Effect.serviceOption(BudgetStore)
    // One for all keys, so that a changed key keeps what its budget has spent.
    const budgets = Option.isSome(sharedBudgets) ? sharedBudgets.value : yield* makeBudgetStore
    const withBudgets = Context.add(context, BudgetStore, budgets)

    const activate = (key: VirtualKey): Effect.Effect<ActiveKey, InvalidAccessError> =>
      KeyLimits.make(key, reportPrice).pipe(
        Effect.provide(withBudgets),
        Effect.mapBoth({
          onFailure: (error) => new InvalidAccessError({ faults: [error.message] }),
          onSuccess: ({ around, budgets }): ActiveKey => ({
            key,
            budgets,
            caller: {
              id: key.id,
              label: key.label ?? key.id,
              ...(key.weight === undefined ? {} : { weight: key.weight }),
              allows: (names) => VirtualKeys.allows(key, names),
              around
            }
          })
        })
      )

    /** A key keeps its limiter and its budget while its settings stay the same. */
    const activeKeyOf = (key: VirtualKey): Effect.Effect<ActiveKey, InvalidAccessError> =>
      Effect.suspend(() => {
        const active = MutableRef.get(activeKeys).get(key.id)
        if (active !== undefined && (active.key === key || sameSettings(active.key, key))) return Effect.succeed(active)
        return Effect.map(activate(key), (made) => {
          // Another request may have added the key: each key has one limiter.
          const other = MutableRef.get(activeKeys).get(key.id)
          if (other !== undefined && sameSettings(other.key, key)) return other
          MutableRef.update(activeKeys, (all) => new Map(all).set(key.id, made))
          return made
        })
      })

    const callerOf = (key: VirtualKey) => Effect.map(activeKeyOf(key), ({ caller }) => caller)

    const storeConfigured = (key: VirtualKey): Effect.Effect<void, AccessStoreError> =>
      Effect.zipRight(
        store.put(key),
        Effect.sync(() => {
          MutableRef.update(configured, ({ keys, unstored }) => ({
            keys,
            unstored: new Set([...unstored].filter((hash) => hash !== key.hash))
          }))
        })
      )

    /** Stores the keys that were configured while the store was unavailable. */
    const storePending = Effect.suspend(() => {
      const { keys, unstored } = MutableRef.get(configured)
      return Effect.forEach(
        [...keys.values()].filter(({ hash }) => unstored.has(hash)),
        storeConfigured,
        { discard: true }
      )
    })

    const configure = (options: ReadonlyArray<KeyOptions>): Effect.Effect<Reloaded, InvalidAccessError> =>
      Effect.gen(function* () {
        const now = yield* DateTime.now
        const { keys: before } = MutableRef.get(configured)
        const keys = options.map((keyOptions): VirtualKey => {
          const configuredKey = { ...keyOf(keyOptions, now), configured: true }
          // In a shared store these keys have always had the accounts of their ids.
          const key = Option.isSome(sharedBudgets) ? configuredKey : withAccount(configuredKey)
          const old = before.get(key.hash)
          return old !== undefined && sameSettings(old, key) ? old : key
        })
        const faults = faultsOf(options, keys)
        if (faults.length > 0) return yield* new InvalidAccessError({ faults })
        const changed = keys.filter((key) => before.get(key.hash) !== key)
        const made = yield* Effect.forEach(changed, activate)
        const after = new Map(keys.map((key) => [key.hash, key]))
        const changes = changesOf(before, after)
        MutableRef.update(configured, ({ unstored }) => ({
          keys: after,
          unstored: new Set([...unstored, ...changed.map(({ hash }) => hash)].filter((hash) => after.has(hash)))
        }))
        MutableRef.update(activeKeys, (all) => {
          const others = [...all].filter(([id]) => !changes.removed.includes(id))
          return new Map([...others, ...made.map((active) => [active.key.id, active] as const)])
        })
        return changes
      })

    const logStoreFailure = ({ message }: AccessStoreError): Effect.Effect<void> =>
      Effect.logWarning(`New keys are not in the store yet, and will be stored when they are first used. ${message}`)

    const adminFaults = adminToken === undefined ? [] : Secrets.faultsOf("adminToken", adminToken)
    yield* Effect.matchEffect(configure(first), {
      onFailure: ({ faults }) => new InvalidAccessError({ faults: [...faults, ...adminFaults] }),
      onSuccess: () => (adminFaults.length > 0 ? new InvalidAccessError({ faults: adminFaults }) : Effect.void)
    })
    yield* storePending
    // A shared store implies that keys are wanted, although there may be none yet.
    const isOpen = mayBeOpen && admin === undefined && first.length === 0 && Option.isNone(shared)

    const isAdminSecret = (hash: string): boolean => admin !== undefined && Secrets.equalDigests(hash, admin)

    const denied = (reason: AccessDeniedError["reason"]) => Effect.fail(new AccessDeniedError({ reason }))

    /** The settings of a configured key come from the configuration; the store decides whether it was revoked. */
    const findKey = (hash: string) =>
      Effect.suspend(() => {
        const { keys, unstored } = MutableRef.get(configured)
        const own = keys.get(hash)
        const found = Effect.flatMap(store.find(hash), (option) => {
          const stored = Option.getOrUndefined(option)
          if (stored === undefined || !Secrets.equalDigests(stored.hash, hash)) return denied("unknown")
          if (own !== undefined) return Effect.succeed(own)
          return stored.configured === true ? denied("unknown") : Effect.succeed(stored)
        })
        return own !== undefined && unstored.has(hash) ? Effect.zipRight(storeConfigured(own), found) : found
      })

    /** The caller of a key in memory that has been used before; undefined where an effect must find it. */
    const unsafeCaller = (hash: string): Caller | undefined => {
      const { keys, unstored } = MutableRef.get(configured)
      const stored = store.unsafeFind?.(hash)
      const key = keys.get(hash) ?? (stored?.configured === true ? undefined : stored)
      if (stored === undefined || key === undefined || key.expiresAt !== undefined || unstored.has(hash))
        return undefined
      const active = MutableRef.get(activeKeys).get(key.id)
      return active?.key === key ? active.caller : undefined
    }

    /** The stored keys, without those that only other gateways have configured or that are no longer configured. */
    const list = Effect.map(store.list, (all) => {
      const { keys } = MutableRef.get(configured)
      return all.flatMap((key): ReadonlyArray<VirtualKey> => {
        const own = keys.get(key.hash)
        if (own !== undefined) return [{ ...own, createdAt: key.createdAt }]
        return key.configured === true ? [] : [key]
      })
    })

    const requireUnexpired = (key: VirtualKey) =>
      key.expiresAt === undefined
        ? Effect.succeed(key)
        : Effect.flatMap(DateTime.isFuture(key.expiresAt), (isValid) =>
            isValid ? Effect.succeed(key) : denied("expired")
          )

    const budgetsOf = (key: VirtualKey): Effect.Effect<ReadonlyArray<KeyBudget>> =>
      Effect.flatMap(requireUnexpired(key), activeKeyOf).pipe(
        Effect.flatMap(({ budgets }) => Effect.map(budgets, (all) => all.map((status) => ({ key, status })))),
        // An expired or invalid key is reported to its client instead.
        Effect.orElseSucceed(() => [])
      )

    /** Stores a changed key, if there is one with this id and it is not a configured one. */
    const change = (id: string, edit: (key: VirtualKey) => VirtualKey) =>
      Effect.gen(function* () {
        const key = (yield* list).find((key) => key.id === id)
        if (key === undefined) return Option.none<VirtualKey>()
        if (key.configured === true) {
          return yield* new InvalidAccessError({
            faults: [`${id} is a configured key: change it where it is configured`]
          })
        }
        const edited = edit(key)
        const changed = countingOf(edited) === countingOf(key) ? edited : withAccount(edited)
        // Checks the limits before the key is stored.
        const active = yield* activate(changed)
        yield* store.put(changed)
        // The store does not put a key that was revoked meanwhile. A store that cannot tell has put it: it has just succeeded.
        const isStored = Effect.orElseSucceed(Effect.map(store.find(changed.hash), Option.isSome), () => true)
        if (!(yield* isStored)) return Option.none<VirtualKey>()
        MutableRef.update(activeKeys, (all) => new Map(all).set(id, active))
        return Option.some(changed)
      })

    const access: Service = {
      isOpen,
      budgets: Effect.orElse(list, () =>
        Effect.sync(() => Array.from(MutableRef.get(activeKeys).values(), ({ key }) => key))
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
        if (isOpen) return Effect.succeed(anonymousCaller)
        if (Option.isNone(secret)) return denied("missing")
        const hash = Secrets.digest(secret.value)
        const known = isAdminSecret(hash) ? adminCaller : unsafeCaller(hash)
        return known !== undefined
          ? Effect.succeed(known)
          : findKey(hash).pipe(
              Effect.flatMap(requireUnexpired),
              // `create` checked the key, but another version may have stored it.
              Effect.flatMap((key) =>
                Effect.mapError(callerOf(key), ({ message }) => new Stores.AccessStoreError({ detail: message }))
              )
            )
      },
      administrator: (secret) => {
        if (Option.isNone(secret)) return denied("missing")
        return isAdminSecret(Secrets.digest(secret.value)) ? Effect.void : denied("forbidden")
      },
      list,
      create: (settings) =>
        Effect.gen(function* () {
          const secret = Secrets.generate()
          const key = withAccount(keyOf({ ...settings, key: secret }, yield* DateTime.now))
          yield* callerOf(key)
          yield* store.put(key)
          return { secret, key }
        }),
      update: (id, settings) =>
        change(id, ({ budgetAccount, createdAt, hash }) => ({
          ...settings,
          id,
          hash,
          createdAt,
          ...(budgetAccount === undefined || settings.budget === undefined ? {} : { budgetAccount })
        })),
      rotate: (id) =>
        Effect.suspend(() => {
          const secret = Secrets.generate()
          return Effect.map(
            change(id, (key) => ({ ...key, hash: Secrets.digestOf(secret) })),
            Option.map((key) => ({ secret, key }))
          )
        }),
      revoke: (id) =>
        Effect.zipRight(
          Effect.sync(() => {
            MutableRef.update(activeKeys, (all) => new Map([...all].filter(([keyId]) => keyId !== id)))
          }),
          Effect.zipRight(storePending, store.remove(id))
        )
    }
    return { access, configure, syncStore: Effect.catchAll(storePending, logStoreFailure) }
  })
