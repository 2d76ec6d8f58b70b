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

const accountOf = (state: State, name: string): Account =>
  Option.getOrElse(HashMap.get(state.accounts, name), () => emptyAccount)

const sum = (slices: ReadonlyArray<SpendingSlice>, field: "spent" | "unpriced", now: number): number =>
  slices.reduce((total, slice) => (slice.until > now ? total + slice[field] : total), 0)

export const accountStatus = (
  state: State,
  { account, limit }: Pick<Claim, "account" | "limit">,
  now: number
): AccountStatus => {
  const { reserved, slices } = accountOf(state, account)
  return {
    account,
    limit,
    reserved,
    spent: sum(slices, "spent", now),
    unpriced: sum(slices, "unpriced", now),
    resetsAt: slices.find((slice) => slice.until > now)?.until ?? Infinity
  }
}

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
  const accounts = claims.reduce((accounts, claim) => {
    const account = accountOf({ ...before, accounts }, claim.account)
    return HashMap.set(accounts, claim.account, { ...account, reserved: account.reserved + claim.amount })
  }, before.accounts)
  return [Option.none(), { ...before, accounts }]
}

const addSpending = (
  slices: ReadonlyArray<SpendingSlice>,
  settlement: Settlement,
  now: number
): ReadonlyArray<SpendingSlice> => {
  const { spent, unpriced } = settlement
  if (spent === 0 && unpriced === 0) return slices
  const live = slices.filter((slice) => slice.until > now)
  const last = live[live.length - 1]
  return last !== undefined && now < last.end
    ? [...live.slice(0, -1), { ...last, spent: last.spent + spent, unpriced: last.unpriced + unpriced }]
    : [...live, { ...sliceAt(settlement.claim.period, now), spent, unpriced }]
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
  const before = settlements.map(({ claim }) => accountStatus(state, claim, now))
  const after = settlements.reduce<State>((state, settlement) => {
    const { account, amount } = settlement.claim
    const { reserved, slices } = accountOf(state, account)
    return {
      ...state,
      accounts: HashMap.set(state.accounts, account, {
        reserved: reserved - amount,
        slices: addSpending(slices, settlement, now)
      })
    }
  }, state)
  return [
    settlements.flatMap(({ claim }, index) => {
      const previous = before[index]
      return previous === undefined ? [] : [{ before: previous, after: accountStatus(after, claim, now) }]
    }),
    after
  ]
}

/** Names of all accounts. */
export const accountNames = (state: State): ReadonlyArray<string> => Array.from(HashMap.keys(state.accounts))
