/** How a history falls into turns, and how it is put together again from those that are kept. Pure. */
import type { Array as Arr } from "effect"
import type { Message } from "../../vocabulary/Chat.js"

/** What is said in one turn, oldest first. */
export type Said = Arr.NonEmptyReadonlyArray<Message>

/** System and developer messages belong to no turn: they stay, and they stay where they are. */
export const isPinned = (message: Message): boolean => message.role === "system" || message.role === "developer"

/**
 * A turn goes from a user message to the next. What is said before the first user message is a turn too. Where a tool's
 * result comes only after a further user message, both are one turn: a call and its result are never parted.
 */
export const turnsOf = (messages: ReadonlyArray<Message>): ReadonlyArray<Said> => {
  const turns: Array<[Message, ...Array<Message>]> = []
  const turnOfCall = new Map<string, number>()
  const joinFrom = (first: number): void => {
    const [turn, ...later] = turns.splice(first)
    if (turn === undefined) return
    for (const each of later) turn.push(...each)
    turns.push(turn)
    for (const [call, index] of turnOfCall) if (index > first) turnOfCall.set(call, first)
  }
  for (const message of messages) {
    if (isPinned(message)) continue
    const home = message.role === "tool" ? turnOfCall.get(message.toolCallId) : undefined
    if (home !== undefined && home < turns.length - 1) joinFrom(home)
    const current = turns[turns.length - 1]
    if (current === undefined || message.role === "user") turns.push([message])
    else current.push(message)
    if (message.role === "assistant") {
      for (const call of message.toolCalls ?? []) turnOfCall.set(call.id, turns.length - 1)
    }
  }
  return turns
}

/**
 * What is kept of a history, with its system messages between: those at its beginning before everything else, each other one
 * before the first message that is kept of those which came after it.
 */
export const weave = (history: ReadonlyArray<Message>, kept: ReadonlyArray<Message>): ReadonlyArray<Message> => {
  const remaining = new Set(kept)
  const before = new Map<Message, ReadonlyArray<Message>>()
  const woven: Array<Message> = []
  let waiting: ReadonlyArray<Message> = []
  let begun = false
  for (const message of history) {
    if (isPinned(message)) {
      if (begun) waiting = [...waiting, message]
      else woven.push(message)
      continue
    }
    begun = true
    if (waiting.length === 0 || !remaining.has(message)) continue
    before.set(message, [...(before.get(message) ?? []), ...waiting])
    waiting = []
  }
  for (const message of kept) {
    woven.push(...(before.get(message) ?? []), message)
    before.delete(message)
  }
  woven.push(...waiting)
  return woven
}
