/** Texts of assistant messages in protocols that have one text a message, and no field for a refusal. */
import type { AssistantPart } from "../vocabulary/Chat.js"

/** Whether a part is written as text: the texts and the refusals. */
export const isWrittenAsText = (part: AssistantPart): part is Extract<AssistantPart, { type: "text" | "refusal" }> =>
  part.type === "text" || part.type === "refusal"

/** The texts and refusals of a content joined in their order. */
export const textField = (content: string | ReadonlyArray<AssistantPart>): string =>
  typeof content === "string"
    ? content
    : content
        .filter(isWrittenAsText)
        .map(({ text }) => text)
        .join("")
