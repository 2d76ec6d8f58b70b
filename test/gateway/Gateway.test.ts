/** The gateway as an app, without a server. */
import { HttpApp, HttpRouter, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Access, Gateway } from "../../src/gateway/index.js"
import { ModelNotFoundError } from "../../src/vocabulary/LLMError.js"
import * as Models from "../../src/models/Models.js"
import { scripted } from "../support/scripted.js"
import { question } from "./support/http.js"

const unknown = (model: string) =>
  new ModelNotFoundError({ provider: "", model, attempts: [], message: "There are: secret." })

const models = Layer.effect(
  Models.Models,
  Effect.map(scripted("Hello"), (llm) => ({
    get: (name: string) => (name === "model" ? Effect.succeed(llm) : Effect.fail(unknown(name))),
    group: (name: string) => Effect.fail(unknown(name)),
    list: [{ ...llm.info, name: "test/model", aliases: [] }],
    default: Effect.succeed(llm)
  }))
)

const services = Layer.merge(models, Access.layer())

const handle = (options: Gateway.Options, path: string, body?: unknown) =>
  Effect.flatMap(Gateway.app(options), (app) =>
    Effect.promise(async () => {
      const response = await HttpApp.toWebHandler(app)(
        new Request(`http://localhost${path}`, {
          method: body === undefined ? "GET" : "POST",
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
      )
      return { status: response.status, text: await response.text() }
    })
  ).pipe(Effect.provide(services))

describe("Gateway.app", () => {
  const chat = question("chat completions", "model")

  it.live("answers whole and streamed through a web handler", () =>
    Effect.gen(function* () {
      const whole = yield* handle({}, "/v1/chat/completions", chat)
      expect(whole.status).toBe(200)
      expect(whole.text).toContain("Hello")
      const streamed = yield* handle({}, "/v1/chat/completions", { ...chat, stream: true })
      expect(streamed.text).toMatch(/^data: [^]*Hello[^]*data: \[DONE\]\n\n$/)
    })
  )

  it.live("uses the default model when a request names none", () =>
    Effect.gen(function* () {
      const { model: _, ...unnamed } = chat
      expect((yield* handle({}, "/v1/chat/completions", unnamed)).status).toBe(200)
    })
  )

  it.live("hides the list of models from the error for an unknown model", () =>
    Effect.gen(function* () {
      const { status, text } = yield* handle({}, "/v1/chat/completions", { ...chat, model: "other" })
      expect(status).toBe(404)
      expect(text).not.toContain("secret")
    })
  )

  it.live("answers 413 above maxBodySize through a web handler", () =>
    Effect.gen(function* () {
      const { status } = yield* handle({ maxBodySize: 100 }, "/v1/chat/completions", {
        ...chat,
        user: "x".repeat(100)
      })
      expect(status).toBe(413)
    })
  )

  it.live("serves extra routers beside the gateway's own routes", () =>
    Effect.gen(function* () {
      const router = HttpRouter.empty.pipe(HttpRouter.get("/ready", HttpServerResponse.text("yes")))
      expect(yield* handle({ routers: [router] }, "/ready")).toEqual({ status: 200, text: "yes" })
      expect((yield* handle({ routers: [router] }, "/v1/models")).status).toBe(200)
      expect((yield* handle({ routers: [router] }, "/other")).status).toBe(404)
    })
  )

  it.live("answers 503 after drain", () =>
    Effect.gen(function* () {
      const gateway = yield* Gateway.make({ grace: 0 })
      expect(yield* gateway.status).toEqual({ inFlight: 0, shuttingDown: false })
      yield* gateway.drain
      expect(yield* gateway.status).toEqual({ inFlight: 0, shuttingDown: true })
      const { status } = yield* Effect.promise(() =>
        HttpApp.toWebHandler(gateway.app)(new Request("http://localhost/v1/models"))
      )
      expect(status).toBe(503)
    }).pipe(Effect.provide(services))
  )
})
