/** The store of the accounts of budgets: its contract, and the one in memory. */
import type { Option } from "effect"
import { Context, Effect } from "effect"
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

/** Makes a store in the memory of one process. */
export const makeMemory: Effect.Effect<Store> = Effect.sync((): Store => {
  let state = Accounts.empty
  const modify = <A>(change: (state: Accounts.State, now: number) => readonly [A, Accounts.State]): Effect.Effect<A> =>
    Effect.withFiberRuntime((fiber) => {
      const [value, after] = change(state, clockOf(fiber).unsafeCurrentTimeMillis())
      state = after
      return Effect.succeed(value)
    })
  return {
    reserve: (claims) => modify((state, now) => Accounts.reserve(state, claims, now)),
    settle: (settlements) => modify((state, now) => Accounts.settle(state, settlements, now)),
    accountStatus: (account) => modify((state, now) => [Accounts.accountStatus(state, account, now), state]),
    accounts: Effect.sync(() => Accounts.accountNames(state))
  }
})
