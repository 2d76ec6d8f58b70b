/** A gateway in a server of one's own, and without any. */
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

const handled = (options: Gateway.Options, path: string, body?: unknown) =>
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

describe("a gateway as an app", () => {
  const chat = question("chat completions", "model")

  it.live("answers by any server", () =>
    Effect.gen(function* () {
      const whole = yield* handled({}, "/v1/chat/completions", chat)
      expect(whole.status).toBe(200)
      expect(whole.text).toContain("Hello")
      const streamed = yield* handled({}, "/v1/chat/completions", { ...chat, stream: true })
      expect(streamed.text).toMatch(/^data: [^]*Hello[^]*data: \[DONE\]\n\n$/)
    })
  )

  it.live("asks the default model where none is named", () =>
    Effect.gen(function* () {
      const { model: _, ...unnamed } = chat
      expect((yield* handled({}, "/v1/chat/completions", unnamed)).status).toBe(200)
    })
  )

  it.live("does not tell which models there are", () =>
    Effect.gen(function* () {
      const { status, text } = yield* handled({}, "/v1/chat/completions", { ...chat, model: "other" })
      expect(status).toBe(404)
      expect(text).not.toContain("secret")
    })
  )

  it.live("bounds what is read there too", () =>
    Effect.gen(function* () {
      const { status } = yield* handled({ maxBodySize: 100 }, "/v1/chat/completions", {
        ...chat,
        user: "x".repeat(100)
      })
      expect(status).toBe(413)
    })
  )

  it.live("answers further routes beside its own", () =>
    Effect.gen(function* () {
      const router = HttpRouter.empty.pipe(HttpRouter.get("/ready", HttpServerResponse.text("yes")))
      expect(yield* handled({ routers: [router] }, "/ready")).toEqual({ status: 200, text: "yes" })
      expect((yield* handled({ routers: [router] }, "/v1/models")).status).toBe(200)
      expect((yield* handled({ routers: [router] }, "/other")).status).toBe(404)
    })
  )

  it.live("drains when it is told to", () =>
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
