/** Accounts of OpenAI behind one address, each with the responses that it has made: an id of another account is not found. */
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

type Json = Readonly<Record<string, unknown>>

/** One request, as an account received it. */
export interface Received {
  /** The secret of the account. */
  readonly account: string
  readonly body: Json
  /** The ids in the request that the account does not have, and the encrypted reasoning that it cannot read. */
  readonly unknown: ReadonlyArray<string>
}

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const itemsOf = (input: unknown): ReadonlyArray<Json> =>
  Array.isArray(input) ? input.filter(isJson) : [{ role: "user", content: input }]

/** The words of a conversation, each message in brackets. */
const wordsOf = (items: ReadonlyArray<Json>): string =>
  items
    .filter(({ type = "message" }) => type === "message")
    .map(({ content }) => {
      const parts: ReadonlyArray<unknown> = Array.isArray(content) ? content : [{ text: content }]
      return `[${parts.map((part) => (isJson(part) ? String(part["text"]) : "")).join("")}]`
    })
    .join("")

const notFound = (id: string, isItem: boolean) => ({
  error: {
    message: isItem ? `Item with id '${id}' not found.` : `Previous response with id '${id}' not found.`,
    type: "invalid_request_error",
    param: isItem ? "input" : "previous_response_id",
    code: isItem ? null : "previous_response_not_found"
  }
})

/** The accounts answer with all words of the conversation, after reasoning that only the account itself can read. */
export const openaiAccounts = Effect.acquireRelease(
  Effect.async<{
    readonly baseUrl: string
    readonly log: ReadonlyArray<Received>
    /** Makes an account answer with this status until it is undefined. */
    readonly fail: (account: string, status: number | undefined) => void
    /** Delays the answers from now on. */
    readonly delayBy: (millis: number) => void
    readonly open: () => number
    readonly close: () => void
  }>((resume) => {
    const log: Array<Received> = []
    const conversations = new Map<string, ReadonlyArray<Json>>()
    const items = new Map<string, Json>()
    const statuses = new Map<string, number>()
    let made = 0
    let delay = 0
    let open = 0
    const server = createServer((request, response) => {
      let text = ""
      open++
      response.on("close", () => open--)
      request.on("data", (piece) => {
        text += String(piece)
      })
      request.on("end", () => {
        const parsed: unknown = JSON.parse(text)
        const body = isJson(parsed) ? parsed : {}
        const account = (request.headers.authorization ?? "").replace("Bearer ", "")
        const input = itemsOf(body["input"])
        const previous = body["previous_response_id"]
        const conversation = typeof previous === "string" ? conversations.get(`${account} ${previous}`) : []
        const own = input.map((item) =>
          item["type"] === "item_reference" || (item["type"] === "reasoning" && item["encrypted_content"] === undefined)
            ? (items.get(`${account} ${String(item["id"])}`) ?? { unknown: String(item["id"]) })
            : item
        )
        const unknownItems = own.flatMap((item) => (typeof item["unknown"] === "string" ? [item["unknown"]] : []))
        const foreignReasoning = input
          .map((item) => item["encrypted_content"])
          .filter((content): content is string => typeof content === "string" && !content.includes(`${account}_`))
        const container = itemsOf(body["tools"]).find(({ type }) => type === "code_interpreter")?.["container"]
        const isForeign = typeof container === "string" && !container.includes(account)
        const unknown = [
          ...(conversation === undefined ? [String(previous)] : []),
          ...unknownItems,
          ...foreignReasoning,
          ...(isForeign ? [container] : [])
        ]
        log.push({ account, body, unknown })
        const send = (status: number, value: unknown): void => {
          response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value))
        }
        const status = statuses.get(account)
        if (status !== undefined) return send(status, { error: { message: "refused", code: null } })
        const [missing] = unknown
        if (missing !== undefined) return send(400, notFound(missing, conversation !== undefined))
        const all = [...(conversation ?? []), ...own]
        const n = ++made
        const id = `resp_${account}_${n}`
        const message = {
          id: `msg_${account}_${n}`,
          type: "message",
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: wordsOf(all), annotations: [], logprobs: [] }]
        }
        const run = {
          id: `ci_${account}_${n}`,
          type: "code_interpreter_call",
          status: "completed",
          code: "1",
          outputs: [],
          container_id: typeof container === "string" ? container : `cntr_${account}_${n}`
        }
        const isEncrypted = Array.isArray(body["include"]) && body["include"].includes("reasoning.encrypted_content")
        const encrypted = isEncrypted ? { encrypted_content: `enc_${account}_${n}` } : {}
        const output: ReadonlyArray<Json> = [
          { id: `rs_${account}_${n}`, type: "reasoning", summary: [], ...encrypted },
          message,
          ...(container === undefined ? [] : [run])
        ]
        conversations.set(`${account} ${id}`, [...all, ...output])
        for (const item of output) items.set(`${account} ${String(item["id"])}`, item)
        const resource = {
          id,
          object: "response",
          created_at: 1,
          status: "completed",
          model: "gpt-real",
          output,
          usage: { input_tokens: 5, output_tokens: 3, total_tokens: 8 }
        }
        const answer = (): void => {
          if (body["stream"] !== true) return send(200, resource)
          response.writeHead(200, { "content-type": "text/event-stream" })
          const place = { item_id: message.id, output_index: 1, content_index: 0 }
          const events: ReadonlyArray<Json> = [
            { type: "response.created", response: { ...resource, status: "in_progress", output: [] } },
            { type: "response.output_item.added", output_index: 0, item: output[0] },
            { type: "response.output_item.done", output_index: 0, item: output[0] },
            { type: "response.output_item.added", output_index: 1, item: { ...message, content: [] } },
            { type: "response.content_part.added", ...place, part: { type: "output_text", text: "", annotations: [] } },
            { type: "response.output_text.delta", ...place, delta: wordsOf(all) },
            { type: "response.output_text.done", ...place, text: wordsOf(all) },
            { type: "response.content_part.done", ...place, part: message.content[0] },
            { type: "response.output_item.done", output_index: 1, item: message },
            { type: "response.completed", response: resource }
          ]
          response.end(
            events.map((event) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`).join("")
          )
        }
        if (delay === 0) answer()
        else setTimeout(answer, delay)
      })
    })
    server.listen(0, "127.0.0.1", () =>
      resume(
        Effect.succeed({
          baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
          log,
          fail: (account, status) => {
            if (status === undefined) statuses.delete(account)
            else statuses.set(account, status)
          },
          delayBy: (millis) => {
            delay = millis
          },
          open: () => open,
          close: () => {
            server.close()
            server.closeAllConnections()
          }
        })
      )
    )
  }),
  ({ close }) => Effect.sync(close)
)
