/** The script of the simulated provider: which entry answers a request. */
import type { ChatRequest } from "../vocabulary/Chat.js"
import { textOf } from "../vocabulary/Chat.js"
import type { ScriptEntry } from "./model.js"

/** How often each entry was taken, by its place in the script. */
export type Taken = ReadonlyMap<number, number>

export const none: Taken = new Map()

/** Expressions with the flag `g` or `y` remember where they have matched. */
const matches = (text: string, expression: RegExp): boolean => text.search(expression) !== -1

const answers = ({ when = {} }: ScriptEntry, request: ChatRequest): boolean => {
  const { message, model } = when
  const asked = request.messages.findLast(({ role }) => role === "user")
  const question = asked === undefined ? "" : textOf(asked.content)
  const name = request.model ?? ""
  return (
    (message === undefined ||
      (typeof message === "string"
        ? question.toLowerCase().includes(message.toLowerCase())
        : matches(question, message))) &&
    (model === undefined || (typeof model === "string" ? name === model : matches(name, model)))
  )
}

/** The entry that answers the request, and what was taken with it. */
export const take = (
  script: ReadonlyArray<ScriptEntry>,
  request: ChatRequest,
  taken: Taken
): readonly [ScriptEntry | undefined, Taken] => {
  const index = script.findIndex(
    (entry, index) => (taken.get(index) ?? 0) < (entry.times ?? 1) && answers(entry, request)
  )
  return index === -1 ? [undefined, taken] : [script[index], new Map(taken).set(index, (taken.get(index) ?? 0) + 1)]
}
