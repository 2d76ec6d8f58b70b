/** Keys and paths of clients of other providers, on every server. */
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Servers from "./support/servers.js"
import { question } from "./support/http.js"

const { ask } = Servers

const canary = "sk-client-canary"
const access = { keys: [{ key: canary, label: "team-a" }] }
const bearer = { authorization: `Bearer ${canary}` }

const chat = question("chat completions", "openai/large")
const { model: _, ...chatWithoutModel } = chat

describe.each(Servers.all)("clients on %s", (name) => {
  it.scopedLive.each(["x-api-key", "api-key", "x-goog-api-key"])("can send their key in the header %s", (header) =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access })
      const { status } = yield* ask(served, "/v1/chat/completions", chat, { [header]: canary })
      const refused = yield* ask(served, "/v1/chat/completions", chat, { [header]: "sk-other" })
      expect([status, refused.status]).toEqual([200, 401])
    })
  )

  it.scopedLive.each<[string, Readonly<Record<string, unknown>>]>([
    ["/chat/completions", chat],
    ["/messages", question("messages", "openai/large")],
    ["/messages/count_tokens", question("messages", "openai/large")],
    ["/responses", question("responses", "openai/large")],
    ["/embeddings", { model: "openai/large", input: "Hello" }],
    ["/openai/v1/responses?api-version=preview", question("responses", "openai/large")],
    ["/openai/responses?api-version=2025-03-01-preview", question("responses", "openai/large")],
    ["/openai/deployments/openai%2Flarge/chat/completions?api-version=2024-10-21", chatWithoutModel],
    ["/openai/deployments/openai%2Flarge/chat/completions?api-version=2024-10-21", { ...chat, model: "anything" }],
    // The official client sends the slash of a name as it is.
    ["/openai/deployments/openai/large/chat/completions?api-version=2024-10-21", chatWithoutModel],
    ["/openai/deployments/fast/embeddings?api-version=2024-10-21", { input: "Hello" }]
  ])("can use the path %s", ([path, body]) =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access })
      const { status, text } = yield* ask(served, path, body, bearer)
      expect([status, text]).toEqual([200, expect.any(String)])
      const [exchange] = yield* served.provider.log
      if (exchange !== undefined) expect(exchange.body).toMatchObject({ model: "large" })
    })
  )

  it.scopedLive("can list the models and read a stored response without /v1", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access })
      const { json } = yield* ask(served, "/responses", question("responses", "openai/large"), bearer)
      const { id } = json as { readonly id: string }
      for (const path of ["/models", "/openai/v1/models", `/responses/${id}`]) {
        const { status } = yield* Servers.request(served, "GET", path, bearer)
        expect([path, status]).toEqual([path, 200])
      }
    })
  )

  it.scopedLive("get the answer of a route of the program's own at such a path", () =>
    Effect.gen(function* () {
      const own = HttpRouter.empty.pipe(
        HttpRouter.post("/chat/completions", HttpServerResponse.text("mine")),
        HttpRouter.get("/models", HttpServerResponse.text("my models"))
      )
      const served = yield* Servers.start(name, { access, gateway: { routers: [own] } })
      expect((yield* ask(served, "/chat/completions", chat, bearer)).text).toBe("mine")
      expect((yield* Servers.request(served, "GET", "/models", bearer)).text).toBe("my models")
      expect((yield* ask(served, "/messages", question("messages", "openai/large"), bearer)).status).toBe(200)
    })
  )

  it.scopedLive("get an error of their protocol where a path does not exist, or not with this method", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access })
      for (const [path, expected] of [
        ["/openai/deployments/%E0%A4%A/chat/completions", 404],
        ["/openai/deployments/fast/nothing", 404],
        ["/chat/nothing", 404]
      ] as const) {
        const { status } = yield* ask(served, path, chat, bearer)
        expect([path, status]).toEqual([path, expected])
      }
      const { headers, status } = yield* Servers.request(served, "GET", "/chat/completions", bearer)
      expect([status, headers.get("allow")]).toEqual([405, "POST, OPTIONS"])
    })
  )
})
