/** The web examples on real sockets with clients that leave, and the AI SDK as the reader of UI message streams. */
import { describe, expect, it } from "@effect/vitest"
import { DefaultChatTransport, readUIMessageStream } from "ai"
import type { UIMessage } from "ai"
import type { ManagedRuntime } from "effect"
import { Effect, Schema } from "effect"
import type { RequestListener } from "node:http"
import { createServer } from "node:http"
import { pipeline } from "node:stream/promises"
import * as ExpressExample from "../../examples/web/express.js"
import * as HonoExample from "../../examples/web/hono.js"
import * as NextExample from "../../examples/web/next.js"
import * as LLM from "../../src/LLM.js"
import * as Tool from "../../src/programs/Tool.js"
import * as WebStream from "../../src/programs/WebStream.js"
import { SimulatedProvider, TestLLM } from "../../src/testing/index.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { eventually } from "../support/eventually.js"

/** A server for handlers of requests, as frameworks have one. */
const listenerOf =
  (handle: (request: Request) => Response | Promise<Response>): RequestListener =>
  async (incoming, outgoing) => {
    const left = new AbortController()
    outgoing.once("close", () => left.abort())
    try {
      const text = (await incoming.setEncoding("utf8").toArray()).join("")
      const request = new Request(`http://localhost${incoming.url}`, {
        method: incoming.method ?? "GET",
        ...(text === "" ? {} : { body: text }),
        signal: left.signal
      })
      const { body, headers, status } = await handle(request)
      outgoing.writeHead(status, Object.fromEntries(headers))
      if (body === null) outgoing.end()
      else await pipeline(body, outgoing)
    } catch {
      outgoing.destroy()
    }
  }

const listening = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer(listener)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            close: () => {
              server.close()
              server.closeAllConnections()
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )

/** The examples read the environment when their first request comes, so all share one provider. */
const withProvider = <A, E, R>(use: (provider: SimulatedProvider.Service) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(SimulatedProvider.make(), (provider) => {
    process.env["OPENAI_API_KEY"] = "sk-test"
    process.env["OPENAI_BASE_URL"] = provider.baseUrl
    return use(provider)
  })

interface Example {
  readonly name: string
  readonly runtime: ManagedRuntime.ManagedRuntime<LLM.LLM, unknown>
  readonly listener: RequestListener
  readonly path: string
  readonly body?: unknown
}

const uiMessage = (text: string): UIMessage => ({ id: "1", role: "user", parts: [{ type: "text", text }] })

const examples: ReadonlyArray<Example> = [
  {
    name: "Hono",
    runtime: HonoExample.runtime,
    listener: listenerOf(HonoExample.app.fetch),
    path: "/story",
    body: { prompt: "Hello" }
  },
  { name: "Express", runtime: ExpressExample.runtime, listener: ExpressExample.app, path: "/events?city=Rome" },
  {
    name: "Next",
    runtime: NextExample.runtime,
    listener: listenerOf(NextExample.POST),
    path: "/api/chat",
    body: { messages: [uiMessage("Hello")] }
  }
]

const inFlight = ({ runtime }: Example) =>
  Effect.promise(() =>
    runtime.runPromise(
      Effect.flatMap(LLM.LLM, ({ status }) => Effect.map(status, ({ keys }) => keys.keys.map((key) => key.inFlight)))
    )
  )

describe("the web examples", () => {
  it.scopedLive(
    "stream to a client, close the provider's connection when it leaves in the middle, and have the key back",
    () =>
      withProvider((provider) =>
        Effect.forEach(examples, (example) =>
          Effect.gen(function* () {
            const { url } = yield* listening(example.listener)
            const send = (signal?: AbortSignal) =>
              Effect.promise(() =>
                fetch(`${url}${example.path}`, {
                  ...(example.body === undefined ? {} : { method: "POST", body: JSON.stringify(example.body) }),
                  ...(signal === undefined ? {} : { signal })
                })
              )
            const whole = yield* send()
            expect([example.name, whole.status]).toEqual([example.name, 200])
            expect(yield* Effect.promise(() => whole.text())).toMatch(/said|wear/)

            const before = (yield* provider.log).length
            yield* provider.next(SimulatedProvider.hang(2))
            const leaving = new AbortController()
            const { body } = yield* send(leaving.signal)
            yield* Effect.promise(async () => body?.getReader().read())
            leaving.abort()
            yield* eventually(
              Effect.map(provider.log, (log) => log.slice(before).some(({ outcome }) => outcome === "aborted"))
            )
            yield* eventually(Effect.map(inFlight(example), (counts) => counts.every((count) => count === 0)))

            yield* provider.next(SimulatedProvider.status(429))
            yield* provider.next(SimulatedProvider.status(400))
            const refused = yield* send()
            expect([example.name, refused.status]).toEqual([example.name, 400])
          })
        )
      ).pipe(Effect.ensuring(Effect.promise(() => Promise.all(examples.map(({ runtime }) => runtime.dispose())))))
  )
})

describe("the AI SDK as a reader", () => {
  const weather = Tool.make("weather", {
    parameters: { city: Schema.String },
    success: Schema.Struct({ celsius: Schema.Number }),
    handler: ({ city }) => Effect.succeed({ celsius: city.length })
  })
  const script = [
    TestLLM.answer({
      content: [
        { type: "reasoning", text: "The tool knows." },
        Chat.text("Let me look."),
        Chat.toolCall("call-1", "weather", '{"city":"Rome"}')
      ]
    }),
    "4 degrees.",
    "You are welcome."
  ]

  /** Sends a conversation as `useChat` does, and reads the message of the assistant. */
  const ask = (messages: ReadonlyArray<UIMessage>, handle: (request: Request) => Promise<Response>) =>
    Effect.promise(async () => {
      const transport = new DefaultChatTransport({
        api: "http://localhost/api/chat",
        fetch: (input, init) => handle(new Request(input.toString(), init))
      })
      const stream = await transport.sendMessages({
        chatId: "chat",
        messages: [...messages],
        abortSignal: undefined,
        trigger: "submit-message",
        messageId: undefined
      })
      let last: UIMessage | undefined
      for await (const message of readUIMessageStream({ stream })) last = message
      return last
    })

  it.effect("reads reasoning, text, tool calls and their results, and its next request is understood", () =>
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime<LLM.LLM>()
      const handle = async (request: Request): Promise<Response> => {
        const body: unknown = await request.json()
        return Effect.runPromise(
          Effect.flatMap(WebStream.messagesOf(body), (messages) =>
            LLM.toResponse(LLM.runToolsStream({ messages }, { tools: [weather] }), { format: "ui-messages" })
          ).pipe(Effect.provide(runtime))
        )
      }
      const question = uiMessage("How warm is Rome?")
      const answer = yield* ask([question], handle)
      expect(answer?.parts.map((part) => ({ ...part }))).toMatchObject([
        { type: "step-start" },
        { type: "reasoning", text: "The tool knows.", state: "done" },
        { type: "text", text: "Let me look.", state: "done" },
        {
          type: "tool-weather",
          toolCallId: "call-1",
          state: "output-available",
          input: { city: "Rome" },
          output: { celsius: 4 }
        },
        { type: "step-start" },
        { type: "text", text: "4 degrees.", state: "done" }
      ])
      if (answer !== undefined) yield* ask([question, answer, uiMessage("Thanks.")], handle)
      const calls = yield* TestLLM.calls
      expect(calls[2]?.request.messages).toEqual([
        Chat.user("How warm is Rome?"),
        Chat.assistant([Chat.text("Let me look."), Chat.toolCall("call-1", "weather", '{"city":"Rome"}')]),
        Chat.toolResult("call-1", '{"celsius":4}'),
        Chat.assistant([Chat.text("4 degrees.")]),
        Chat.user("Thanks.")
      ])
    }).pipe(Effect.provide(TestLLM.layer(script)))
  )
})
