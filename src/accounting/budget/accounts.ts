/**
 * Accounts of budgets as pure functions: claims are reserved all together or not at all, and settled once. Amounts are whole
 * numbers: tokens, or trillionths of a dollar.
 */
import { HashMap, Option } from "effect"
import type { Period, Slice } from "./period.js"
import { sliceAt } from "./period.js"

export interface Claim {
  /** Name of the account: of a budget, or of a budget and a label. */
  readonly account: string
  readonly limit: number
  readonly period: Period
  readonly amount: number
}

export interface Settlement {
  readonly claim: Claim
  /** The amount that was consumed, in place of the claimed one. */
  readonly spent: number
  /** Tokens whose price is unknown; `spent` does not cover them. */
  readonly unpriced: number
}

export interface AccountStatus {
  readonly account: string
  readonly limit: number
  readonly spent: number
  readonly reserved: number
  readonly unpriced: number
  /** When the oldest spending stops counting, in milliseconds since the epoch; infinite when it never does. */
  readonly resetsAt: number
}

interface SpendingSlice extends Slice {
  readonly spent: number
  readonly unpriced: number
}

interface Account {
  readonly reserved: number
  /** Oldest first. */
  readonly slices: ReadonlyArray<SpendingSlice>
}

export interface State {
  readonly accounts: HashMap.HashMap<string, Account>
  /** Number of accounts at which idle ones are removed. */
  readonly sweepAt: number
}

const minSweepSize = 1000

export const empty: State = { accounts: HashMap.empty(), sweepAt: minSweepSize }

const emptyAccount: Account = { reserved: 0, slices: [] }

const accountOf = (accounts: State["accounts"], name: string): Account => {
  const account = HashMap.get(accounts, name)
  return Option.isSome(account) ? account.value : emptyAccount
}

const statusOf = (
  { reserved, slices }: Account,
  { account, limit }: Pick<Claim, "account" | "limit">,
  now: number
): AccountStatus => {
  let spent = 0
  let unpriced = 0
  let resetsAt: number | undefined
  for (const slice of slices) {
    if (slice.until <= now) continue
    spent += slice.spent
    unpriced += slice.unpriced
    resetsAt ??= slice.until
  }
  return { account, limit, reserved, spent, unpriced, resetsAt: resetsAt ?? Infinity }
}

export const accountStatus = (state: State, claim: Pick<Claim, "account" | "limit">, now: number): AccountStatus =>
  statusOf(accountOf(state.accounts, claim.account), claim, now)

/** Removes accounts without reservations and live spending, once there are twice as many as after the last removal. */
const withoutIdleAccounts = (state: State, now: number): State => {
  if (HashMap.size(state.accounts) < state.sweepAt) return state
  const accounts = HashMap.filter(
    state.accounts,
    ({ reserved, slices }) => reserved > 0 || slices.some((slice) => slice.until > now)
  )
  return { accounts, sweepAt: Math.max(minSweepSize, 2 * HashMap.size(accounts)) }
}

/** Whether a claim fits the limit. When the limit is reached, not even a claim of zero does. */
const fits = ({ limit, reserved, spent }: AccountStatus, amount: number): boolean =>
  spent + reserved < limit && spent + reserved + amount <= limit

/** Reserves all claims, or returns the status of the first account without room. */
export const reserve = (
  state: State,
  claims: ReadonlyArray<Claim>,
  now: number
): readonly [Option.Option<AccountStatus>, State] => {
  for (const claim of claims) {
    const status = accountStatus(state, claim, now)
    if (!fits(status, claim.amount)) return [Option.some(status), state]
  }
  const before = withoutIdleAccounts(state, now)
  let { accounts } = before
  for (const claim of claims) {
    const { reserved, slices } = accountOf(accounts, claim.account)
    accounts = HashMap.set(accounts, claim.account, { reserved: reserved + claim.amount, slices })
  }
  return [Option.none(), { accounts, sweepAt: before.sweepAt }]
}

const addSpending = (
  slices: ReadonlyArray<SpendingSlice>,
  settlement: Settlement,
  now: number
): ReadonlyArray<SpendingSlice> => {
  const { spent, unpriced } = settlement
  if (spent === 0 && unpriced === 0) return slices
  const live = slices.filter((slice) => slice.until > now)
  const last = live.at(-1)
  if (last !== undefined && now < last.end) {
    const { end, start, until } = last
    live[live.length - 1] = { start, end, until, spent: last.spent + spent, unpriced: last.unpriced + unpriced }
  } else {
    const { end, start, until } = sliceAt(settlement.claim.period, now)
    live.push({ start, end, until, spent, unpriced })
  }
  return live
}

export interface Change {
  readonly before: AccountStatus
  readonly after: AccountStatus
}

/** Releases the claims and adds what was spent to the current period. */
export const settle = (
  state: State,
  settlements: ReadonlyArray<Settlement>,
  now: number
): readonly [ReadonlyArray<Change>, State] => {
  const changes: Array<Change> = []
  let { accounts } = state
  for (const settlement of settlements) {
    const { claim } = settlement
    const before = accountOf(accounts, claim.account)
    const after: Account = {
      reserved: before.reserved - claim.amount,
      slices: addSpending(before.slices, settlement, now)
    }
    accounts = HashMap.set(accounts, claim.account, after)
    changes.push({ before: statusOf(before, claim, now), after: statusOf(after, claim, now) })
  }
  return [changes, { accounts, sweepAt: state.sweepAt }]
}

/** Names of all accounts. */
export const accountNames = (state: State): ReadonlyArray<string> => Array.from(HashMap.keys(state.accounts))
