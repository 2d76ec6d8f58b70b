/**
 * Adds up usage and cost by provider, model, key and a label of your own.
 *
 * Every attempt is recorded once, when it ends: answers, tool rounds, retries, refused keys, broken and interrupted streams. When
 * the provider reported no token counts (the call was interrupted or timed out), they are estimated from the request and the
 * received text, and `usage.estimated` is true.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM, UsageLedger } from "effect-llm"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * const Metered = OpenAI.pipe(LLM.withMiddleware(UsageLedger.middleware()), Layer.provideMerge(UsageLedger.layer()))
 *
 * const program = Effect.gen(function* () {
 *   yield* UsageLedger.label(LLM.chat("Hello"), "team-a")
 *   const { groups, total } = yield* UsageLedger.snapshot
 *   return [total.cost.total, UsageLedger.totalsBy(groups, "label").get("team-a")]
 * }).pipe(Effect.provide(Metered))
 * ```
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer, Option, Predicate, PubSub, Stream } from "effect"
import { dual } from "effect/Function"
import type { Cost } from "../vocabulary/cost.js"
import * as Costs from "../vocabulary/cost.js"
import { Label } from "../internal/label.js"
import * as Checks from "../internal/optionChecks.js"
import type { EndedAttempt, Listener } from "../call/usageListeners.js"
import { notifyUsage } from "../telemetry/usageObserver.js"
import { withUsageListener, wrap } from "../call/wrap.js"
import type { Middleware } from "../call/model.js"
import * as Priced from "./pricing/cost.js"
import * as Pricing from "./pricing/model.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Attempt, Entry } from "./ledger/entries.js"
import { cacheHitOutcome } from "./ledger/entries.js"
import type { Group, Totals } from "./ledger/totals.js"
import { combineAll, ofEntry } from "./ledger/totals.js"

export type { Attempt, Entry } from "./ledger/entries.js"
export * from "./ledger/totals.js"

/**
 * Usage and cost so far, by group and in total.
 *
 * @since 0.1.0
 * @category model
 */
export interface Snapshot {
  /** Time of the ledger's creation or last reset, in milliseconds since the epoch. */
  readonly since: number
  readonly groups: ReadonlyArray<Group>
  readonly total: Totals
}

/**
 * A ledger of attempts.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Records an attempt at the prices of the time at which it ended. */
  readonly record: (attempt: Attempt) => Effect.Effect<void>
  /** Usage and cost since the ledger's creation or last reset. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** Clears the ledger and returns its last snapshot: every attempt is in the snapshot of exactly one reset. */
  readonly reset: Effect.Effect<Snapshot>
  /**
   * The entries from now on, for export. Recording never waits for a reader: one that is more than `Options.capacity` entries
   * behind loses the oldest.
   */
  readonly entries: Stream.Stream<Entry>
}

/**
 * Limits of a ledger's memory.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The most entries that are buffered for a slow reader of `entries`. @default 1024 */
  readonly capacity?: number
  /**
   * The most groups. Entries of further ones are added to the provider's group with the model, key and label `(other)`, so that
   * an unbounded number of labels does not fill the memory. @default 10000
   */
  readonly maxGroups?: number
}

/**
 * The ledger that `UsageLedger.middleware()` records to.
 *
 * @since 0.1.0
 * @category tags
 */
export class UsageLedger extends Context.Tag("effect-llm/UsageLedger")<UsageLedger, Service>() {}

// -------------------------------------------------------------------------------------
// the ledger
// -------------------------------------------------------------------------------------

/** Records an attempt at the prices in a context, and returns what is left of that: nothing, unless a reader of entries is behind. */
type UnsafeRecord = (attempt: Attempt, context: Context.Context<never>) => Effect.Effect<void>

const UnsafeRecordId: unique symbol = Symbol("effect-llm/UsageLedger/UnsafeRecord")

interface WithUnsafeRecord {
  readonly [UnsafeRecordId]: UnsafeRecord
}

/** The `record` of a ledger that is changed (`{ ...ledger, record }`) has no other form. */
const hasUnsafeRecord = (record: object): record is WithUnsafeRecord => Predicate.hasProperty(record, UnsafeRecordId)

const onUsageOf = ({ record }: Service): Listener["onUsage"] =>
  hasUnsafeRecord(record) ? record[UnsafeRecordId] : record

type Groups = Map<string, Group>

const otherName = "(other)"

const nameOf = ({ keyId, label, model, provider }: Omit<Group, "totals">): string =>
  `${provider}\u0000${model}\u0000${keyId}\u0000${label}`

/** Without spreads, which take several times as long as the sums. */
const entryOf = (
  { answeredBy, endedAt, keyId, label, model, operation, outcome, provider, startedAt }: Attempt,
  usage: Usage.Usage,
  number: number,
  cost: Cost | undefined
): Entry =>
  cost === undefined
    ? { operation, provider, model, answeredBy, keyId, label, outcome, usage, startedAt, endedAt, number }
    : { operation, provider, model, answeredBy, keyId, label, outcome, usage, startedAt, endedAt, number, cost }

/** The totals with one more entry. */
const totalsWith = (group: Group | undefined, entry: Entry): Totals => {
  if (group === undefined) return ofEntry(entry)
  const { attempts, cacheHits, cost, succeeded, unpriced, usage } = group.totals
  const isCacheHit = entry.outcome === cacheHitOutcome
  return {
    attempts: isCacheHit ? attempts : attempts + 1,
    succeeded: entry.outcome === "ok" ? succeeded + 1 : succeeded,
    cacheHits: isCacheHit ? cacheHits + 1 : cacheHits,
    usage: Usage.combine(usage, entry.usage),
    cost: entry.cost === undefined ? cost : Costs.combine(cost, entry.cost),
    unpriced: entry.cost === undefined ? Usage.combine(unpriced, entry.usage) : unpriced
  }
}

const addEntry = (groups: Groups, entry: Entry, maxGroups: number): void => {
  const { keyId, label, model, provider } = entry
  const name = nameOf(entry)
  const group = groups.get(name)
  if (group !== undefined || groups.size < maxGroups) {
    groups.set(name, { provider, model, keyId, label, totals: totalsWith(group, entry) })
    return
  }
  const others = { provider, model: otherName, keyId: otherName, label: otherName }
  const othersName = nameOf(others)
  groups.set(othersName, { ...others, totals: totalsWith(groups.get(othersName), entry) })
}

const snapshotOf = (since: number, groupsByName: Groups): Snapshot => {
  const groups = Array.from(groupsByName.values())
  return { since, groups, total: combineAll(groups.map(({ totals }) => totals)) }
}

/**
 * Makes a ledger in memory. Costs are those of the prices in context.
 *
 * @throws TypeError when an option is invalid
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ capacity = 1024, maxGroups = 10_000 }: Options = {}): Effect.Effect<Service> => {
  Checks.valid("UsageLedger", ({ number }) => {
    number("capacity", capacity, Number.isInteger(capacity) && capacity >= 0, "a finite whole number of at least 0")
    number("maxGroups", maxGroups, Checks.isWhole(maxGroups, 0), "a whole number of at least 0")
  })
  return Effect.gen(function* () {
    const defaultPrices = yield* Pricing.Pricing
    const published = yield* PubSub.sliding<Entry>(Math.max(1, capacity))
    const groups: Groups = new Map()
    let since = yield* Clock.currentTimeMillis
    let entryCount = 0
    const unsafeRecord: UnsafeRecord = (attempt, context) => {
      // One count that is not a number would corrupt the totals until the next reset.
      const usage = Usage.checked(attempt.usage, () => Usage.empty)
      const cost = costOf(Context.get(context, Pricing.Pricing), defaultPrices, attempt, usage)
      const entry = entryOf(attempt, usage, ++entryCount, cost)
      addEntry(groups, entry, maxGroups)
      return published.unsafeOffer(entry)
        ? Effect.void
        : Effect.uninterruptible(Effect.asVoid(PubSub.publish(published, entry)))
    }
    const annotation: WithUnsafeRecord = { [UnsafeRecordId]: unsafeRecord }
    return {
      record: Object.assign(
        (attempt: Attempt) => Effect.withFiberRuntime<void>((fiber) => unsafeRecord(attempt, fiber.currentContext)),
        annotation
      ),
      snapshot: Effect.sync(() => snapshotOf(since, groups)),
      reset: Effect.clockWith((clock) =>
        Effect.sync(() => {
          const last = snapshotOf(since, groups)
          since = clock.unsafeCurrentTimeMillis()
          groups.clear()
          return last
        })
      ),
      entries: Stream.fromPubSub(published)
    }
  })
}

/** Usage without tokens, such as a cache hit, is free without a price. */
const costOf = (
  callPrices: Pricing.Service,
  defaultPrices: Pricing.Service,
  attempt: Attempt,
  usage: Usage.Usage
): Cost | undefined =>
  usage.totalTokens === 0
    ? Costs.free
    : Option.getOrUndefined(
        Priced.costWithin(callPrices, defaultPrices, usage, Priced.answererOfAttempt(attempt), attempt.endedAt)
      )

/**
 * A ledger in memory as a layer. Costs are those of the prices in context when it is built.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM, Pricing, UsageLedger } from "effect-llm"
 *
 * const Recorded = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(UsageLedger.middleware()),
 *   Layer.provideMerge(UsageLedger.layer()),
 *   Layer.provide(Pricing.layer({ openai: { "gpt-4o-mini": { input: 0.15, output: 0.6 } } }))
 * )
 *
 * // The costs so far, of all calls.
 * const spent = Effect.flatMap(UsageLedger.UsageLedger, ({ snapshot }) => Effect.map(snapshot, ({ total }) => total.cost.total))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<UsageLedger> => Layer.effect(UsageLedger, make(options))

/**
 * The middleware that records the attempts of an `LLM` in the ledger in context. Around a `Fallback` or a `Balance`, it records
 * the attempts on every member; a ledger records an attempt once, however many of its middlewares surround the call.
 *
 * Only `LLM.layer` and what is built from it report attempts. A custom `LLM` service reports none.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM, UsageLedger } from "effect-llm"
 *
 * const Recorded = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(UsageLedger.middleware()),
 *   Layer.provideMerge(UsageLedger.layer())
 * )
 *
 * const program = LLM.chat("Hello").pipe(Effect.zipRight(UsageLedger.snapshot), Effect.provide(Recorded))
 * ```
 *
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = (): Middleware<never, UsageLedger> => (next) =>
  Effect.map(UsageLedger, (ledger) => withUsageListener(next, { owner: ledger, onUsage: onUsageOf(ledger) }))

/**
 * Records an answer from a cache, for custom caches: it costs nothing and counts as a hit in the ledgers around the call.
 *
 * @since 0.1.0
 * @category accessors
 */
export const cacheHit = (
  answer: Pick<EndedAttempt, "operation" | "provider" | "model"> & { readonly keyId?: string }
): Effect.Effect<void> =>
  notifyUsage({
    operation: answer.operation,
    provider: answer.provider,
    model: answer.model,
    answeredBy: answer.model,
    keyId: answer.keyId ?? "",
    outcome: cacheHitOutcome,
    usage: Usage.empty
  })

// -------------------------------------------------------------------------------------
// labels
// -------------------------------------------------------------------------------------

/**
 * Labels the calls of an effect for `UsageLedger` and `Budget`: with a team, a customer, a feature. The innermost label applies.
 *
 * @example
 * ```ts
 * import { LLM, UsageLedger } from "effect-llm"
 *
 * const program = LLM.chat("Hello").pipe(UsageLedger.label("team-a"))
 * ```
 *
 * @since 0.1.0
 * @category labels
 */
export const label: {
  (label: string): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, label: string): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(effect: Effect.Effect<A, E, R>, label: string): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Label, label)
)

/**
 * Labels the calls of a stream, like `label`.
 *
 * @since 0.1.0
 * @category labels
 */
export const labelStream: {
  (label: string): <A, E, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<A, E, R>
  <A, E, R>(stream: Stream.Stream<A, E, R>, label: string): Stream.Stream<A, E, R>
} = dual(2, <A, E, R>(stream: Stream.Stream<A, E, R>, label: string): Stream.Stream<A, E, R> =>
  Stream.provideService(stream, Label, label)
)

/**
 * The middleware that labels the calls of an `LLM` that have no label yet.
 *
 * @since 0.1.0
 * @category labels
 */
export const labelled =
  (name: string): Middleware =>
  (next) => {
    const withDefaultLabel = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.flatMap(Label, (current) => (current === "" ? label(effect, name) : effect))
    return Effect.succeed(wrap(next, { around: withDefaultLabel }))
  }

// -------------------------------------------------------------------------------------
// accessors
// -------------------------------------------------------------------------------------

/**
 * The totals of the ledger in context.
 *
 * @since 0.1.0
 * @category accessors
 */
export const snapshot: Effect.Effect<Snapshot, never, UsageLedger> = Effect.flatMap(
  UsageLedger,
  (ledger) => ledger.snapshot
)

/**
 * Clears the ledger in context and returns its last totals.
 *
 * @since 0.1.0
 * @category accessors
 */
export const reset: Effect.Effect<Snapshot, never, UsageLedger> = Effect.flatMap(UsageLedger, (ledger) => ledger.reset)

/**
 * The entries of the ledger in context, from now on.
 *
 * @since 0.1.0
 * @category accessors
 */
export const entries: Stream.Stream<Entry, never, UsageLedger> = Stream.unwrap(
  Effect.map(UsageLedger, (ledger) => ledger.entries)
)
