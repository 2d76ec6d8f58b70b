/** The last answers with tool calls and what their provider requires back, by the ids of their calls. */
import type { AssistantPart } from "../vocabulary/Chat.js"
import { toolCallsOf } from "../vocabulary/Chat.js"
import type { FindAnswer } from "./prompt.js"

/** Enough for the tool rounds of many conversations at once. */
const maxAnswers = 1000

export interface Answers {
  readonly find: FindAnswer
  readonly keep: (content: ReadonlyArray<AssistantPart>) => void
}

/** Whether the provider wants the part back as it was. */
const isSigned = (part: AssistantPart): boolean =>
  part.type === "provider" || part.type === "reasoning" || ("signature" in part && part.signature !== undefined)

const keyOf = (callIds: ReadonlyArray<string>): string => JSON.stringify(callIds)

/** Makes an empty store. The oldest answer leaves it when it is full. */
export const make = (): Answers => {
  const answers = new Map<string, ReadonlyArray<AssistantPart>>()
  return {
    find: (callIds) => answers.get(keyOf(callIds)),
    keep: (content) => {
      const calls = toolCallsOf(content)
      if (calls.length === 0 || !content.some(isSigned)) return
      answers.set(keyOf(calls.map(({ id }) => id)), content)
      const [oldest] = answers.keys()
      if (answers.size > maxAnswers && oldest !== undefined) answers.delete(oldest)
    }
  }
}
