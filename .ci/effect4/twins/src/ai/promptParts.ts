/** The parts of a prompt of Effect's language models where they differ from those of `@effect/ai`. */
import type * as Prompt from "effect/ai/Prompt"
import type { ToolMessage, UserPart } from "../vocabulary/Chat.js"
import { resultText } from "./json.js"

/** A part of an earlier answer. */
export type AssistantPart = Exclude<Prompt.AssistantMessagePart, Prompt.ToolApprovalRequestPart>

/** Makes a part of a request of one of a prompt. */
export type PartOf = (part: Prompt.TextPart | Prompt.FilePart) => UserPart

/** The parts without requests for approvals, which no provider knows. */
export const assistantPartsOf = ({ content }: Prompt.AssistantMessage): ReadonlyArray<AssistantPart> =>
  content.filter((part) => part.type !== "tool-approval-request")

export const toolResultsOf = ({ content }: Prompt.ToolMessage): ReadonlyArray<Prompt.ToolResultPart> =>
  content.filter((part) => part.type === "tool-result")

/** What a model gets of the result of a tool: what the tool makes of it for the model, or its JSON. */
export const resultContent = ({ modelOutput, result }: Prompt.ToolResultPart, partOf: PartOf): ToolMessage["content"] =>
  modelOutput === undefined ? resultText(result) : modelOutput.map((part) => withoutAudio(partOf(part)))

/** The result of a tool can have any file, but no audio of its own kind. */
const withoutAudio = (part: UserPart): Exclude<UserPart, { readonly type: "audio" }> =>
  part.type === "audio" ? { type: "file", url: part.url } : part
