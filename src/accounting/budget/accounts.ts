/**
 * The books of budgets, as pure functions: claims are reserved all together or not at all, and settled once. Amounts are whole
 * numbers: tokens, or trillionths of a dollar.
 */
import { HashMap, Option } from "effect"
import type { Period, Slice } from "./period.js"
import { sliceAt } from "./period.js"

export interface Claim {
  /** The account it is taken from. */
  readonly account: string
  readonly limit: number
  readonly period: Period
  readonly amount: number
}

export interface Settlement {
  readonly claim: Claim
  /** What was consumed instead of what was claimed. */
  readonly spent: number
  /** Tokens without a known price; they are not in `spent`. */
  readonly unpriced: number
}

export interface Standing {
  readonly account: string
  readonly limit: number
  readonly spent: number
  readonly reserved: number
  readonly unpriced: number
  /** When something of what was spent is forgotten, in milliseconds since the epoch; infinite where never. */
  readonly resetsAt: number
}

interface Spending extends Slice {
  readonly spent: number
  readonly unpriced: number
}

interface Account {
  readonly reserved: number
  /** The latest last. */
  readonly slices: ReadonlyArray<Spending>
}

export interface Books {
  readonly accounts: HashMap.HashMap<string, Account>
  /** How many accounts there may be before those that stand at nothing are closed. */
  readonly sweepAt: number
}

const leastKept = 1000

export const opened: Books = { accounts: HashMap.empty(), sweepAt: leastKept }

const untouched: Account = { reserved: 0, slices: [] }

const accountOf = (books: Books, name: string): Account =>
  Option.getOrElse(HashMap.get(books.accounts, name), () => untouched)

const sum = (slices: ReadonlyArray<Spending>, field: "spent" | "unpriced", now: number): number =>
  slices.reduce((total, slice) => (slice.until > now ? total + slice[field] : total), 0)

export const standing = (books: Books, { account, limit }: Pick<Claim, "account" | "limit">, now: number): Standing => {
  const { reserved, slices } = accountOf(books, account)
  return {
    account,
    limit,
    reserved,
    spent: sum(slices, "spent", now),
    unpriced: sum(slices, "unpriced", now),
    resetsAt: slices.find((slice) => slice.until > now)?.until ?? Infinity
  }
}

/** Closes accounts that stand at nothing, once there are twice as many as there were after the last time. */
const swept = (books: Books, now: number): Books => {
  if (HashMap.size(books.accounts) < books.sweepAt) return books
  const accounts = HashMap.filter(
    books.accounts,
    ({ reserved, slices }) => reserved > 0 || slices.some((slice) => slice.until > now)
  )
  return { accounts, sweepAt: Math.max(leastKept, 2 * HashMap.size(accounts)) }
}

/** Whether a claim still fits in. Where all is spent, nothing does, however small. */
const fits = ({ limit, reserved, spent }: Standing, amount: number): boolean =>
  spent + reserved < limit && spent + reserved + amount <= limit

/** Reserves all of the claims, or says which of them does not fit. */
export const reserve = (
  books: Books,
  claims: ReadonlyArray<Claim>,
  now: number
): readonly [Option.Option<Standing>, Books] => {
  for (const claim of claims) {
    const stands = standing(books, claim, now)
    if (!fits(stands, claim.amount)) return [Option.some(stands), books]
  }
  const before = swept(books, now)
  const accounts = claims.reduce((accounts, claim) => {
    const account = accountOf({ ...before, accounts }, claim.account)
    return HashMap.set(accounts, claim.account, { ...account, reserved: account.reserved + claim.amount })
  }, before.accounts)
  return [Option.none(), { ...before, accounts }]
}

const spend = (slices: ReadonlyArray<Spending>, settlement: Settlement, now: number): ReadonlyArray<Spending> => {
  const { spent, unpriced } = settlement
  if (spent === 0 && unpriced === 0) return slices
  const live = slices.filter((slice) => slice.until > now)
  const last = live[live.length - 1]
  return last !== undefined && now < last.end
    ? [...live.slice(0, -1), { ...last, spent: last.spent + spent, unpriced: last.unpriced + unpriced }]
    : [...live, { ...sliceAt(settlement.claim.period, now), spent, unpriced }]
}

export interface Change {
  readonly before: Standing
  readonly after: Standing
}

/** Gives back what was claimed and takes what was consumed, in the period that it is now. */
export const settle = (
  books: Books,
  settlements: ReadonlyArray<Settlement>,
  now: number
): readonly [ReadonlyArray<Change>, Books] => {
  const before = settlements.map(({ claim }) => standing(books, claim, now))
  const after = settlements.reduce<Books>((books, settlement) => {
    const { account, amount } = settlement.claim
    const { reserved, slices } = accountOf(books, account)
    return {
      ...books,
      accounts: HashMap.set(books.accounts, account, {
        reserved: reserved - amount,
        slices: spend(slices, settlement, now)
      })
    }
  }, books)
  return [
    settlements.flatMap(({ claim }, index) => {
      const stood = before[index]
      return stood === undefined ? [] : [{ before: stood, after: standing(after, claim, now) }]
    }),
    after
  ]
}

/** How all accounts stand, by their names. */
export const names = (books: Books): ReadonlyArray<string> => Array.from(HashMap.keys(books.accounts))
