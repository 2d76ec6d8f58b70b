/** Splits a history into turns, and puts the kept turns and the system messages together again. Pure. */
import type { Array as Arr } from "effect"
import type { Message } from "../../vocabulary/Chat.js"
import { toolCallsOf } from "../../vocabulary/Chat.js"

/** The messages of one turn, oldest first. */
export type TurnMessages = Arr.NonEmptyReadonlyArray<Message>

/** Whether a message belongs to no turn and always stays in its place: a system or developer message. */
export const isPinned = (message: Message): boolean => message.role === "system" || message.role === "developer"

/**
 * Splits a history at user messages. Messages before the first user message are a turn, too. When a tool result comes after a
 * further user message, the turns from call to result are joined, so that they are never separated.
 */
export const turnsOf = (messages: ReadonlyArray<Message>): ReadonlyArray<TurnMessages> => {
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
    const callTurn = message.role === "tool" ? turnOfCall.get(message.toolCallId) : undefined
    if (callTurn !== undefined && callTurn < turns.length - 1) joinFrom(callTurn)
    const current = turns[turns.length - 1]
    if (current === undefined || message.role === "user") turns.push([message])
    else current.push(message)
    if (message.role === "assistant") {
      for (const call of toolCallsOf(message.content)) turnOfCall.set(call.id, turns.length - 1)
    }
  }
  return turns
}

/**
 * Inserts the system messages of a history into its kept messages: those at its beginning first, each other one before the first
 * kept message that came after it.
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
