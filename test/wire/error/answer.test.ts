import { describe, expect, it } from "@effect/vitest"
import { Duration, Option } from "effect"
import * as fc from "fast-check"
import * as LLMError from "../../../src/vocabulary/LLMError.js"
import type { ErrorAnswer } from "../../../src/wire/error/classify.js"
import { classify } from "../../../src/wire/error/classify.js"
import { errorAnswer, inBand, openAi, source } from "./errorAnswers.js"
import { character } from "../../support/character.js"

describe("error message of the provider", () => {
  it.each<readonly [string, unknown]>([
    ["error.message", { error: { message: "It is red." } }],
    ["an error string", { error: "It is red." }],
    ["message", { object: "error", message: "It is red." }],
    ["detail", { detail: "It is red." }],
    ["detail.message", { detail: { message: "It is red." } }],
    ["a list of details", { detail: [{ loc: ["body", "top_p"], msg: "It is red.", type: "missing" }] }],
    ["a list of errors", { errors: [{ code: "red", message: "It is red." }], trace: "t" }],
    ["a list of error strings", { errors: ["It is red."] }],
    ["a list that contains the body", [{ error: { message: "It is red." } }]],
    ["an error in an error", { error: { error: { message: "It is red." } } }],
    ["JSON inside a message", { error: { message: '{"error":{"message":"It is red."}}' } }],
    ["JSON inside OpenRouter's raw", { error: { code: 400, metadata: { raw: '{"message":"It is red."}' } } }],
    ["a JSON string", '{"message":"It is red."}'],
    ["an SSE event", 'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"Red","message":"It is red."}\n'],
    ["plain text", "It is red."],
    ["HTML", "<html><head><title>400</title></head><body><p>It is\n <b>red.</b></p></body></html>"],
    ["HTML with only a title", "<html><head><title>It is red.</title></head></html>"],
    ["problem+json", { type: "about:blank", title: "It is red." }]
  ])("finds the provider's message in %s", (_, body) => {
    const error = classify(errorAnswer(400, body), source())
    expect(error._tag).toBe("InvalidRequestError")
    expect(error.message).toContain("It is red.")
  })

  it("joins the messages of a router and its upstream without repetitions", () => {
    const body = {
      error: {
        message: "Provider returned error",
        code: 400,
        metadata: { raw: '{"error":{"message":"prompt is too long","type":"invalid_request_error"}}' }
      }
    }
    const error = classify(errorAnswer(400, body), source())
    expect(error._tag).toBe("ContextLengthError")
    expect(error.message).toContain("Provider returned error: prompt is too long.")
    const twice = classify(errorAnswer(400, { error: { message: "Too red.", details: "Too red." } }), source())
    expect(twice.message.split("Too red.")).toHaveLength(2)
  })

  it("states what happened and what to do when the provider sends no message", () => {
    const error = classify(errorAnswer(503, ""), source("acme"))
    expect(error.message).toBe("acme is unavailable (503). Try again later, or use another provider.")
    const page = classify(errorAnswer(502, "<html><body><h1>502 Bad Gateway</h1></body></html>"), source("acme"))
    expect(page.message).toBe("acme: 502 Bad Gateway. Try again later, or use another provider.")
  })

  it("cuts long messages", () => {
    const error = classify(errorAnswer(400, { error: { message: "long ".repeat(1000) } }), source())
    expect(error.message.length).toBeLessThan(700)
    expect(error.message).toContain("…")
  })

  it("gives different advice for each error class", () => {
    const messages = [400, 401, 402, 403, 404, 429, 503].map(
      (status) => classify(errorAnswer(status, { message: "No." }), source("acme")).message
    )
    expect(new Set(messages.map((message) => message.replace("acme: No. ", ""))).size).toBe(messages.length)
    for (const message of messages) expect(message).toMatch(/^acme: No\. .{10,}\.$/)
  })
})

describe("fields of a provider error", () => {
  it("sets provider, model, key id, status, code, source and no attempts", () => {
    const error = classify(errorAnswer(429, openAi("Slow.", "rate_limit_exceeded", "tokens")), source("acme"))
    expect(error).toMatchObject({
      provider: "acme",
      model: "some-model",
      keyId: "key-1",
      status: 429,
      code: "rate_limit_exceeded",
      source: "provider",
      attempts: []
    })
    expect(LLMError.isLLMError(error)).toBe(true)
  })

  it.each<readonly [string | undefined, unknown]>([
    ["too_many", { error: { code: "too_many", type: "kind" } }],
    ["kind", { error: { code: null, type: "kind" } }],
    ["kind", { error: { code: 400, type: "kind" } }],
    ["INVALID_ARGUMENT", { error: { code: 400, status: "INVALID_ARGUMENT" } }],
    ["1500", { type: "kind", code: "1500" }],
    ["400", { error: { code: 400 } }],
    [undefined, { error: { message: "No code." } }],
    [undefined, { type: "error", error: { message: "No code." } }]
  ])("sets the code %s from %j", (code, body) => {
    expect(classify(errorAnswer(400, body), source()).code).toBe(code)
  })

  it("sets the code from Amazon's x-amzn-errortype header", () => {
    const error = classify(
      errorAnswer(429, { message: "No." }, { "x-amzn-errortype": "ThrottlingException:http" }),
      source()
    )
    expect(error.code).toBe("ThrottlingException")
  })

  it.each<readonly [string, ErrorAnswer]>([
    ["a", errorAnswer(500, { request_id: "z" }, { "x-request-id": "a", "cf-ray": "z" })],
    ["b", errorAnswer(500, "", { "request-id": "b" })],
    ["c", errorAnswer(500, "", { "apim-request-id": "c" })],
    ["d", errorAnswer(500, { request_id: "d" }, { "cf-ray": "z" })],
    ["e", errorAnswer(500, { error: { request_id: "e" } })],
    ["f", errorAnswer(500, "", { "cf-ray": "f" })],
    ["req_g1", inBand({ error: { message: "Sorry. Please include the request ID req_g1 in your message." } })]
  ])("sets the request id %s from headers, body or message", (id, answer) => {
    expect(classify(answer, source()).requestId).toBe(id)
  })

  it.each<readonly [string, unknown]>([
    ["messages[0].role", { error: { message: "No.", param: "messages[0].role" } }],
    ["messages.0.content", { detail: [{ loc: ["body", "messages", 0, "content"], msg: "No." }] }]
  ])("sets the invalid field %s of an InvalidRequestError", (field, body) => {
    expect(classify(errorAnswer(422, body), source())).toMatchObject({ _tag: "InvalidRequestError", field })
  })
})

describe("wait of a provider error", () => {
  const waitOf = (answer: ErrorAnswer) =>
    Option.getOrUndefined(Option.map(LLMError.retryAfter(classify(answer, source())), Duration.toMillis))

  it("sets the wait of rate limit, quota and unavailable errors from retry-after", () => {
    expect(waitOf(errorAnswer(429, "", { "retry-after": "7" }))).toBe(7000)
    expect(waitOf(errorAnswer(402, "", { "retry-after": "7" }))).toBe(7000)
    expect(waitOf(errorAnswer(503, "", { "retry-after": "7" }))).toBe(7000)
  })

  it("takes a rate limit reset as the wait of a RateLimitError but not of a QuotaExceededError", () => {
    const headers = { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6ms" }
    expect(waitOf(errorAnswer(429, openAi("Slow.", "rate_limit_exceeded"), headers))).toBe(6)
    expect(waitOf(errorAnswer(429, openAi("Pay.", "insufficient_quota"), headers))).toBeUndefined()
  })

  it("writes the wait into the message", () => {
    const error = classify(errorAnswer(429, { message: "Slow." }, { "retry-after": "90" }), source("acme"))
    expect(error.message).toBe("acme: Slow. Try again in 1m 30s, or use another key.")
  })
})

describe("masking of secrets", () => {
  const messageFor = (text: string) => classify(errorAnswer(401, { error: { message: text } }), source()).message

  it.each([
    "sk-proj-Ab3dEf6hIj9",
    "sk-ant-api03-Zz9_yy-Xx8",
    "sk-or-v1-0123456789abcdef",
    "sk-live1****9xyz",
    "gsk_A1b2C3d4E5f6G7",
    "xai-A1b2C3d4E5f6G7",
    "hf_A1b2C3d4E5f6G7",
    "AIzaSyA1b2C3d4E5f6G7h8",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp",
    "planted-canary"
  ])("masks the secret %s in the message", (secret) => {
    const message = messageFor(`Incorrect API key provided: ${secret}. Find yours in the console.`)
    expect(message).not.toContain(secret)
    expect(message).toContain("***")
    expect(message).toContain("Find yours in the console.")
  })

  it.each<readonly [string, string]>([
    ["Bearer dG9rZW4tMTIzNDU2Nzg5MA==", "dG9rZW4"],
    ["https://x.test/v1?key=opensesame&alt=sse", "opensesame"],
    ["https://x.test/v1?a=1&api_key=opensesame", "opensesame"],
    ["https://x.test/v1?access_token=opensesame", "opensesame"],
    ["headers: {'x-api-key': 'opensesame1'}", "opensesame1"]
  ])("masks the secret inside '%s'", (text, secret) => {
    expect(messageFor(text)).not.toContain(secret)
  })

  it.each([
    "the task-force and the risk-averse desk-lamp",
    "expected Bearer authentication",
    "the key is missing, as is the token",
    "invalid x-api-key",
    "max_tokens=5 is too small",
    "ask-me-anything about sk-learn"
  ])("keeps the ordinary text '%s' in the message", (text) => {
    expect(messageFor(text)).toContain(text)
  })

  it("masks secrets in code, field and request id", () => {
    const error = classify(
      errorAnswer(
        422,
        { error: { message: "No.", code: "sk-proj-Ab3dEf6hIj9", param: "planted-canary" } },
        {
          "x-request-id": "planted-canary"
        }
      ),
      source()
    )
    expect(JSON.stringify(error)).not.toMatch(/planted-canary|Ab3dEf6hIj9/)
  })

  it("masks a secret that the cut of a long message would split", () => {
    const message = messageFor(`${"x ".repeat(245)} sk-proj-Ab3dEf6hIj9Ab3dEf6hIj9Ab3dEf6hIj9`)
    expect(message).not.toContain("sk-proj")
  })

  it("masks a secret anywhere in the body", () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.constantFrom("message", "code", "type", "detail", "param"),
        (body, key) => {
          const error = classify(
            errorAnswer(400, { [key]: "x planted-canary y", error: body, errors: [body] }),
            source()
          )
          expect(JSON.stringify(error)).not.toContain("planted-canary")
        }
      )
    )
  })
})

describe("classify: robustness", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "error",
      "message",
      "code",
      "type",
      "status",
      "details",
      "errors",
      "metadata",
      "raw",
      "headers",
      "loc"
    ),
    fc.constantFrom("retry_after", "retryDelay", "resets_at", "param", "choices", "__proto__", "constructor", "@type")
  )
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constant(null),
      fc.boolean(),
      fc.double(),
      fc.string({ unit: character }),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(word, tie("value"), { maxKeys: 5 }),
      tie("value").map((value) => JSON.stringify(value) ?? "undefined")
    )
  })).value
  const headers = fc.dictionary(
    fc.oneof(
      fc.constantFrom("retry-after", "retry-after-ms", "x-ratelimit-reset", "x-request-id", "cf-ray"),
      fc.string()
    ),
    fc.oneof(fc.string({ unit: character }), fc.double().map(String))
  )

  it("returns an LLMError with a message and a valid wait for any body, status and headers", () => {
    fc.assert(
      fc.property(
        json,
        headers,
        fc.oneof(fc.integer(), fc.integer({ min: 100, max: 600 }), fc.double()),
        fc.boolean(),
        fc.oneof(fc.integer({ min: 0, max: 4e12 }), fc.double()),
        (body, headers, status, inBand, now) => {
          const error = classify({ status, headers, body, inBand }, { ...source(), now })
          expect(LLMError.isLLMError(error)).toBe(true)
          expect(error.message).not.toBe("")
          const wait = Option.map(LLMError.retryAfter(error), Duration.toMillis)
          if (Option.isSome(wait)) expect(wait.value).toBeGreaterThanOrEqual(0)
        }
      ),
      { numRuns: 200 }
    )
  })

  it("bounds the depth and the size of what it reads", () => {
    let deep: unknown = "sk-proj-Ab3dEf6hIj9"
    for (let depth = 0; depth < 5000; depth++) deep = { error: deep }
    expect(classify(errorAnswer(500, deep), source())._tag).toBe("ProviderUnavailableError")
    const wide = { errors: Array.from({ length: 10_000 }, (_, index) => ({ message: `fault ${index}` })) }
    expect(classify(errorAnswer(400, wide), source()).message.length).toBeLessThan(700)
  })

  it.each([
    ["<script", 200_000],
    ["<", 400_000],
    ["sk-1", 300_000],
    ["retry after 1", 100_000],
    ["key=", 300_000],
    ["model ", 200_000],
    ["1m", 400_000],
    ["exceeds the the ", 100_000],
    [" ", 500_000]
  ])("reads a long repetition of %j in linear time", (part, times) => {
    const started = performance.now()
    classify(errorAnswer(429, `<p>${part.repeat(times)}`), source())
    classify(errorAnswer(400, { error: { message: part.repeat(times), code: part.repeat(times) } }), source())
    // Linear time takes milliseconds here, quadratic time minutes.
    expect(performance.now() - started).toBeLessThan(20_000)
  })
})
