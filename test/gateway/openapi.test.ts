/** The OpenAPI document and its page, compared with the responses of the gateway. */
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { document } from "../../src/gateway/routes/openapi/openapi.js"
import {
  KeyLoad,
  SimpleAnswer,
  SimpleError,
  SystemCapacity,
  SystemLoad,
  Health
} from "../../src/gateway/routes/openapi/simpleApi.js"
import { post, send } from "./support/http.js"
import { serve } from "./support/serving.js"

const file = (baseUrl: string) => ({
  one: [{ model_name: "m", base_url: baseUrl, api_keys: [{ key: "canary-doc-3f1a", id: "k", max_concurrency: 3 }] }]
})

const Content = Schema.Record({ key: Schema.String, value: Schema.Struct({ schema: Schema.Object }) })

const Operation = Schema.Struct({
  tags: Schema.NonEmptyArray(Schema.String),
  operationId: Schema.NonEmptyString,
  description: Schema.optional(Schema.String),
  parameters: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      in: Schema.Literal("path", "query", "header"),
      required: Schema.Boolean,
      schema: Schema.Object
    })
  ),
  security: Schema.Array(Schema.Record({ key: Schema.String, value: Schema.Array(Schema.String) })),
  requestBody: Schema.optional(Schema.Struct({ required: Schema.Boolean, content: Content })),
  responses: Schema.Record({
    key: Schema.String.pipe(Schema.pattern(/^[1-5]\d\d$/)),
    value: Schema.Struct({ description: Schema.NonEmptyString, content: Schema.optional(Content) })
  })
})

const Document = Schema.parseJson(
  Schema.Struct({
    openapi: Schema.Literal("3.1.0"),
    info: Schema.Struct({ title: Schema.String, version: Schema.String, description: Schema.String }),
    paths: Schema.Record({
      key: Schema.String.pipe(Schema.startsWith("/")),
      value: Schema.Struct({
        get: Schema.optional(Operation),
        post: Schema.optional(Operation),
        put: Schema.optional(Operation),
        delete: Schema.optional(Operation)
      })
    }),
    components: Schema.Struct({
      schemas: Schema.Record({ key: Schema.String, value: Schema.Object }),
      securitySchemes: Schema.Record({ key: Schema.String, value: Schema.Object })
    }),
    security: Schema.Array(Schema.Unknown),
    tags: Schema.Array(Schema.Struct({ name: Schema.String, description: Schema.optional(Schema.String) }))
  })
)

const read = (text: string) => Schema.decode(Document)(text, { onExcessProperty: "error", errors: "all" })

const admin = { authorization: "Bearer the-admins-token" }

const startGateway = serve({ file, access: { adminToken: "the-admins-token" }, gateway: { simple: { details: true } } })

describe("/openapi.json", () => {
  it.scopedLive("serves a valid OpenAPI document whose references, tags and parameters all resolve", () =>
    Effect.gen(function* () {
      const { url } = yield* startGateway
      const answer = yield* send(`${url}/openapi.json`)
      expect(answer.headers.get("content-type")).toBe("application/json")
      const { components, paths, tags } = yield* read(answer.text)
      const references = [...answer.text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference ?? "")
      const schemas = new Set(
        references.map((reference) => /^#\/components\/schemas\/(.+)$/.exec(reference)?.[1] ?? "")
      )
      for (const name of schemas) expect(Object.keys(components.schemas)).toContain(name)
      const operations = Object.entries(paths).flatMap(([path, methods]) =>
        Object.values(methods).flatMap((operation) => (operation === undefined ? [] : [{ path, operation }]))
      )
      const ids = operations.map(({ operation }) => operation.operationId)
      expect(new Set(ids).size).toBe(ids.length)
      for (const { operation, path } of operations) {
        const inPath = [...path.matchAll(/{(\w+)}/g)].map(([, name]) => name)
        const declared = operation.parameters.filter((parameter) => parameter.in === "path" && parameter.required)
        expect(declared.map(({ name }) => name)).toEqual(inPath)
        for (const tag of operation.tags) expect(tags.map(({ name }) => name)).toContain(tag)
        for (const name of operation.security.flatMap((each) => Object.keys(each))) {
          expect(Object.keys(components.securitySchemes)).toContain(name)
        }
        expect(Object.keys(operation.responses).some((status) => status.startsWith("2"))).toBe(true)
      }
    })
  )

  it.scopedLive("serves the document that is made of the description of its API", () =>
    Effect.gen(function* () {
      const { url } = yield* startGateway
      const { text } = yield* send(`${url}/openapi.json`)
      expect(text).toBe(JSON.stringify(document()))
    })
  )

  it.scopedLive("lists only routes that exist, and marks those that need a key", () =>
    Effect.gen(function* () {
      const { url } = yield* startGateway
      const { paths } = yield* read((yield* send(`${url}/openapi.json`)).text)
      for (const [path, methods] of Object.entries(paths)) {
        for (const [method, operation] of Object.entries(methods)) {
          const at = `${url}${path.replace("{keyId}", "k").replace(/{\w+}/, "m")}`
          const bare = yield* send(at, { method, headers: { "x-forwarded-for": "203.0.113.7" } })
          expect(bare.text).not.toContain("There is no route for")
          const isGuarded = (operation?.security.length ?? 0) > 0 || path === "/metrics"
          expect([path, bare.status]).toEqual([path, isGuarded ? 401 : 200])
          if (path !== "/metrics") expect(Object.keys(operation?.responses ?? {})).toContain(String(bare.status))
        }
      }
    })
  )

  it.scopedLive("describes the response bodies of the simple API exactly", () =>
    Effect.gen(function* () {
      const { url } = yield* startGateway
      const fits = <A, I>(schema: Schema.Schema<A, I>, answer: { readonly json: unknown }) =>
        Schema.decodeUnknown(schema, { onExcessProperty: "error" })(answer.json)
      const get = (path: string) => send(`${url}${path}`, { headers: admin })
      yield* fits(SystemLoad, yield* get("/llm/system-load"))
      yield* fits(SystemCapacity, yield* get("/llm/system-capacity"))
      yield* fits(KeyLoad, yield* get("/llm/key-load/m/k"))
      yield* fits(Health, yield* get("/health"))
      yield* fits(SimpleError, yield* get("/llm/key-load/m/none"))
      const messages = [{ role: "user", content: "Hello" }]
      yield* fits(SimpleAnswer, yield* post(`${url}/llm/chat`, { messages }, admin))
    })
  )
})

describe("Gateway option routers", () => {
  it.scopedLive("replaces the built-in /docs with a router of the same path", () =>
    Effect.gen(function* () {
      const mine = HttpRouter.empty.pipe(HttpRouter.get("/docs", HttpServerResponse.text("mine")))
      const { url } = yield* serve({ file, gateway: { routers: [mine] } })
      expect((yield* send(`${url}/docs`)).text).toBe("mine")
      expect((yield* send(`${url}/openapi.json`)).status).toBe(200)
    })
  )
})

describe("/docs", () => {
  it.scopedLive("shows every route of the OpenAPI document without scripts or external resources", () =>
    Effect.gen(function* () {
      const { url } = yield* startGateway
      const { headers, text } = yield* send(`${url}/docs`)
      expect(headers.get("content-type")).toBe("text/html; charset=utf-8")
      expect(headers.get("content-security-policy")).toContain("default-src 'none'")
      const { components, paths } = yield* read((yield* send(`${url}/openapi.json`)).text)
      for (const path of Object.keys(paths)) expect(text).toContain(`<code>${path}</code>`)
      for (const [, target] of text.matchAll(/href="#schema-(\w+)"/g))
        expect(components.schemas).toHaveProperty(target ?? "")
      expect(text).not.toMatch(/<script|src=|@import|https?:\/\//)
      const none = yield* serve({ file, gateway: { documents: false } })
      expect((yield* send(`${none.url}/docs`)).status).toBe(404)
    })
  )
})
