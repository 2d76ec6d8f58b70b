/**
 * Fields of a request that the vocabulary has no word for. Where the same protocol is spoken to the provider they go through as
 * they are. Elsewhere they would mean something else or nothing: those that change what is asked are refused, and of the others
 * the client is told that they were left out.
 */
import { Either } from "effect"
import type { ChatRequest } from "../Chat.js"
import type * as Problem from "./problem.js"
import type { Protocol } from "./protocol.js"

/** Without these the answer would be one to another question. */
const essential: ReadonlySet<string> = new Set([
  "tools",
  "tool_choice",
  "previous_response_id",
  "conversation",
  "prompt",
  "background",
  "modalities",
  "audio",
  "functions",
  "function_call",
  "container",
  "mcp_servers",
  "context_management"
])

export interface Translated {
  readonly request: ChatRequest
  /** The fields that were left out. */
  readonly dropped: ReadonlyArray<string>
}

/** `spoken`: the name of the wire that the provider is spoken to with. */
export const translate = (
  request: ChatRequest,
  protocol: Protocol,
  spoken: string
): Either.Either<Translated, Problem.Problem> => {
  const { extra, ...known } = request
  if (extra === undefined || spoken === protocol.wire.name) return Either.right({ request, dropped: [] })
  const fields = Object.keys(extra)
  const refused = fields.find((field) => essential.has(field))
  return refused === undefined
    ? Either.right({ request: known, dropped: fields.filter((field) => !protocol.own.has(field)) })
    : Either.left({
        status: 400,
        code: "unsupported",
        message: `The model that was asked speaks another protocol, which has nothing for '${refused}' as it was given.`,
        param: refused
      })
}

/** Tells of what was left out, in a header. */
export const header = (dropped: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  dropped.length === 0
    ? {}
    : {
        "x-effect-llm-dropped": dropped
          .map((field) => encodeURIComponent(field))
          .join(", ")
          .slice(0, 1000)
      }
