/** The store of the accounts of budgets: its contract, and the one in memory. */
import type { Option } from "effect"
import { Context, Effect, Predicate } from "effect"
import { clockOf } from "../../internal/clock.js"
import type { SharedStateError } from "../../vocabulary/LLMError.js"
import type { AccountStatus, Change, Claim, Settlement } from "./accounts.js"
import * as Accounts from "./accounts.js"

/**
 * A store of accounts. Each method is atomic and uses the store's clock.
 *
 * @since 0.1.0
 * @category store
 */
export interface Store {
  /**
   * Reserves all claims (of different accounts), or none and returns the status of the account without room. Fails with
   * `SharedStateError` when a shared store cannot be reached.
   */
  readonly reserve: (claims: ReadonlyArray<Claim>) => Effect.Effect<Option.Option<AccountStatus>, SharedStateError>
  /**
   * Releases the claims and records what was spent, in the current period. Returns the changes, in order. A store that cannot be
   * reached records them later.
   */
  readonly settle: (settlements: ReadonlyArray<Settlement>) => Effect.Effect<ReadonlyArray<Change>>
  /** Current status of an account against a limit. */
  readonly accountStatus: (account: Pick<Claim, "account" | "limit">) => Effect.Effect<AccountStatus>
  /** Names of the accounts that were used. */
  readonly accounts: Effect.Effect<ReadonlyArray<string>>
}

/**
 * The store that a `Budget` uses instead of memory when it is in context, such as that of `RedisBudgetStore`.
 *
 * @since 0.1.0
 * @category store
 */
export class BudgetStore extends Context.Tag("effect-llm/Budget/Store")<BudgetStore, Store>() {}

/** The methods of a store outside of Effect, so that a call pays no fiber steps for them. */
export interface UnsafeStore {
  readonly reserve: (claims: ReadonlyArray<Claim>, now: number) => Option.Option<AccountStatus>
  readonly settle: (settlements: ReadonlyArray<Settlement>, now: number) => ReadonlyArray<Change>
}

const UnsafeStoreId: unique symbol = Symbol("effect-llm/Budget/UnsafeStore")

interface WithUnsafeStore {
  readonly [UnsafeStoreId]: UnsafeStore
}

const hasUnsafeStore = (method: object): method is WithUnsafeStore => Predicate.hasProperty(method, UnsafeStoreId)

/** Undefined for a store with effects alone, and for one in memory whose methods are changed (`{ ...store, settle }`). */
export const unsafeStoreOf = ({ reserve, settle }: Store): UnsafeStore | undefined =>
  hasUnsafeStore(reserve) && hasUnsafeStore(settle) && reserve[UnsafeStoreId] === settle[UnsafeStoreId]
    ? reserve[UnsafeStoreId]
    : undefined

/** Makes a store in the memory of one process. */
export const makeMemory: Effect.Effect<Store> = Effect.sync((): Store => {
  let state = Accounts.empty
  const at = <A>(use: (now: number) => A): Effect.Effect<A> =>
    Effect.withFiberRuntime((fiber) => Effect.succeed(use(clockOf(fiber).unsafeCurrentTimeMillis())))
  const annotation: WithUnsafeStore = {
    [UnsafeStoreId]: {
      reserve: (claims, now) => {
        const [refusal, after] = Accounts.reserve(state, claims, now)
        state = after
        return refusal
      },
      settle: (settlements, now) => {
        const [changes, after] = Accounts.settle(state, settlements, now)
        state = after
        return changes
      }
    }
  }
  const { reserve, settle } = annotation[UnsafeStoreId]
  return {
    reserve: Object.assign((claims: ReadonlyArray<Claim>) => at((now) => reserve(claims, now)), annotation),
    settle: Object.assign(
      (settlements: ReadonlyArray<Settlement>) => at((now) => settle(settlements, now)),
      annotation
    ),
    accountStatus: (account) => at((now) => Accounts.accountStatus(state, account, now)),
    accounts: Effect.sync(() => Accounts.accountNames(state))
  }
})
