/** Sends a request of the playground to the gateway's own route, and reads the answer. */
import { authorized, messageOf, read } from "./stream.js"

export interface Answer {
  readonly text: string
  readonly reasoning: string
  readonly finishReason?: string
  readonly inputTokens?: number
  readonly outputTokens?: number
  /** In milliseconds; absent without a stream. */
  readonly firstToken?: number
}

interface Part {
  readonly content?: string | null
  readonly reasoning_content?: string | null
  readonly refusal?: string | null
}

/** An answer, or a chunk of a stream. */
interface Completion {
  readonly choices?: ReadonlyArray<{
    readonly message?: Part
    readonly delta?: Part
    readonly finish_reason?: string | null
  }>
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null
  readonly error?: { readonly message: string; readonly type?: string }
}

/** An error of the gateway, which it answers or sends within a stream. */
export class CallFailed extends Error {}

const failed = ({ message, type }: NonNullable<Completion["error"]>): CallFailed =>
  new CallFailed(type === undefined ? message : `${type}: ${message}`)

const added = (answer: Answer, { choices = [], usage }: Completion, elapsed: number): Answer => {
  const [choice] = choices
  const part = choice?.delta ?? choice?.message
  const text = part?.content ?? part?.refusal ?? ""
  const reasoning = part?.reasoning_content ?? ""
  return {
    ...answer,
    text: answer.text + text,
    reasoning: answer.reasoning + reasoning,
    ...(choice?.finish_reason ? { finishReason: choice.finish_reason } : {}),
    ...(usage ? { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens } : {}),
    ...(choice?.delta !== undefined && answer.firstToken === undefined && text + reasoning !== ""
      ? { firstToken: elapsed }
      : {})
  }
}

interface Call {
  readonly token: string | null
  readonly requestId: string
  readonly body: object
  readonly signal: AbortSignal
  /** Receives the answer so far. */
  readonly update: (answer: Answer) => void
}

/** Rejects with `CallFailed` when the gateway answers with an error. */
export const send = async ({ body, requestId, signal, token, update }: Call): Promise<void> => {
  const startedAt = performance.now()
  const response = await fetch("v1/chat/completions", {
    method: "POST",
    headers: { ...authorized(token), "content-type": "application/json", "x-request-id": requestId },
    body: JSON.stringify(body),
    signal
  })
  if (!response.ok) throw new CallFailed(`${response.status}: ${await messageOf(response)}`)
  let answer: Answer = { text: "", reasoning: "" }
  const add = (completion: Completion): void => {
    if (completion.error !== undefined) throw failed(completion.error)
    answer = added(answer, completion, performance.now() - startedAt)
    update(answer)
  }
  if (response.headers.get("content-type")?.startsWith("text/event-stream") && response.body !== null) {
    await read(response.body, (data) => {
      if (data !== "[DONE]") add(JSON.parse(data))
    })
  } else add(await response.json())
}
