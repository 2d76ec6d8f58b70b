/**
 * Restricts a call to the keys of one account: the one that has what the request refers to, or that made the reasoning in it. The keys of
 * a quota group are of one account; a key without a group has one of its own.
 */
import { Context } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { ModelInfo } from "./model.js"
import * as Signatures from "./signatures.js"

/** The account of the only keys that the calls of this context can use, as `Signatures.accountOf`; undefined for all keys. */
export class KeyPin extends Context.Reference<KeyPin>()("effect-llm/KeyPin", {
  defaultValue: (): string | undefined => undefined
}) {}

/** The account to whose keys a call belongs. */
export interface KeyOwner {
  readonly account: string
  /** Whether no other account can answer. */
  readonly isPinned: boolean
}

/** Undefined where any key can take the call. */
export const ownerOf = (
  provider: string,
  request: ChatRequest | undefined,
  context: Context.Context<never>
): KeyOwner | undefined => {
  const pin = Context.get(context, KeyPin)
  if (pin !== undefined) return { account: pin, isPinned: true }
  const account = request === undefined ? undefined : Signatures.lastMaker(request, provider)?.account
  return account === undefined ? undefined : { account, isPinned: false }
}

/** How its owner limits the keys of a call. */
export interface Restriction {
  /** The ids of the keys of other accounts. */
  readonly others: ReadonlySet<string>
  /** Whether the call never takes them. Otherwise it takes them while no key of its owner is ready. */
  readonly isStrict: boolean
  /** Whether the call waits for the end of a cooldown. */
  readonly waits: boolean
}

const unrestricted: Restriction = { others: new Set(), isStrict: false, waits: true }

type Key = Pick<ApiKey, "id" | "quotaGroup">

/** Whether a pool has keys of an account. */
export const hasKeysOf = (provider: string, account: string, keys: ReadonlyArray<Key>): boolean =>
  keys.some(({ id }) => Signatures.accountOf(provider, id) === account)

export const restrictionOf = (
  provider: string,
  owner: KeyOwner | undefined,
  policy: ModelInfo["onOwnerUnavailable"],
  keys: ReadonlyArray<Key>
): Restriction => {
  if (owner === undefined) return unrestricted
  const makers = keys.filter(({ id }) => Signatures.accountOf(provider, id) === owner.account)
  const others = keys.filter(
    (key) =>
      !makers.includes(key) &&
      (key.quotaGroup === undefined || makers.every(({ quotaGroup }) => quotaGroup !== key.quotaGroup))
  )
  const waits = policy === "wait"
  return {
    others: new Set(others.map(({ id }) => id)),
    isStrict: owner.isPinned || waits,
    waits: waits || !owner.isPinned
  }
}

/** The ids of the other keys of a key's account. */
export const kinOf = ({ id, quotaGroup }: Key, keys: ReadonlyArray<Key>): ReadonlyArray<string> =>
  quotaGroup === undefined
    ? []
    : keys.flatMap((key) => (key.quotaGroup === quotaGroup && key.id !== id ? [key.id] : []))
