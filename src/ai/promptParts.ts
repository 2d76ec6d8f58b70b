/** The parts of a prompt of `@effect/ai` where its versions differ: one module, since Effect 4 has more of them. */
import type * as Prompt from "@effect/ai/Prompt"
import type { ToolMessage, UserPart } from "../vocabulary/Chat.js"
import { resultText } from "./json.js"

/** A part of an earlier answer. */
export type AssistantPart = Prompt.AssistantMessagePart

/** Makes a part of a request of one of a prompt. */
export type PartOf = (part: Prompt.TextPart | Prompt.FilePart) => UserPart

export const assistantPartsOf = ({ content }: Prompt.AssistantMessage): ReadonlyArray<AssistantPart> => content

export const toolResultsOf = ({ content }: Prompt.ToolMessage): ReadonlyArray<Prompt.ToolResultPart> => content

/** What a model gets of the result of a tool. */
export const resultContent = ({ result }: Prompt.ToolResultPart, _partOf: PartOf): ToolMessage["content"] =>
  resultText(result)
