/**
 * Writes the requests of every provider client for generated calls to a file, one a line: `requests.ts FILE [CALLS]`. The build for
 * Effect 4 writes the same lines, byte for byte (`.ci/effect4/requests.mjs`).
 *
 * Each line has the input, what was sent through which transport, and how the call ended. The inputs are from fast-check alone, with a
 * fixed seed, since the generators of the two versions of Effect differ.
 */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { Effect, Layer, Schema, Stream } from "effect"
import * as FastCheck from "fast-check"
import { closeSync, openSync, writeSync } from "node:fs"
import * as Direct from "../../src/call/direct.js"
import { ProviderClient } from "../../src/call/ProviderClient.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import { jsonSchemaOf } from "../../src/programs/tools/jsonSchema.js"
import * as Tool from "../../src/programs/Tool.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as DashScopeClient from "../../src/provider/DashScopeClient.js"
import * as EmbeddingsClient from "../../src/provider/EmbeddingsClient.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as OllamaClient from "../../src/provider/OllamaClient.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { mentionsOf } from "../../src/testing/generated/text.js"
import { valueOf } from "../../src/testing/generated/value.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import type { EmbeddingRequest } from "../../src/vocabulary/Embedding.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as DashScope from "../../src/wire/DashScope.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import type { Service } from "../../src/wire/providerClient.js"
import * as Responses from "../../src/wire/Responses.js"
import type { ClientWire } from "../../src/wire/Wire.js"
import { schemas, sharedSchemas } from "../support/schemas.js"
import { decodedApart, userSchemas } from "../support/userSchemas.js"
import { expressible, requestsTo } from "../wire/expressible.js"

// -------------------------------------------------------------------------------------
// providers
// -------------------------------------------------------------------------------------

interface Provider {
  readonly name: string
  readonly make: Effect.Effect<Service, never, HttpClient.HttpClient>
  /** Absent for a client of embeddings alone. */
  readonly wire?: ClientWire
}

interface Protocol {
  readonly name: string
  /** Some fields depend on the model. */
  readonly models: ReadonlyArray<string>
  readonly providers: ReadonlyArray<Provider>
}

interface Located {
  readonly baseUrl: string
}

/** Presets whose users set the address of their own resource. */
const located = <Preset extends Located>(preset: Preset): Preset =>
  preset.baseUrl === "" ? { ...preset, baseUrl: "https://resource.invalid/v1" } : preset

const protocolOf = <Preset extends Located & { readonly dialect?: Dialect }, Dialect extends object>(
  name: string,
  models: ReadonlyArray<string>,
  presets: Readonly<Record<string, Preset>>,
  make: (preset: Preset) => Effect.Effect<Service, never, HttpClient.HttpClient>,
  wireOf: (dialect?: Dialect) => ClientWire
): Protocol => ({
  name,
  models,
  providers: Object.entries(presets).map(([preset, options]) => ({
    name: preset,
    make: make(located(options)),
    wire: wireOf(options.dialect)
  }))
})

const protocols: ReadonlyArray<Protocol> = [
  protocolOf(
    "chat-completions",
    ["gpt-5.2", "gpt-4o", "o3", "deepseek-reasoner", "glm-4.6"],
    ChatCompletionsClient.presets,
    ChatCompletionsClient.make,
    ChatCompletions.make
  ),
  protocolOf("responses", ["gpt-5.2", "gpt-4o", "o3"], ResponsesClient.presets, ResponsesClient.make, Responses.make),
  protocolOf(
    "anthropic-messages",
    ["claude-3-5-haiku-latest", "claude-sonnet-4-5", "claude-opus-4-6", "claude-sonnet-5"],
    AnthropicClient.presets,
    AnthropicClient.make,
    Anthropic.make
  ),
  protocolOf(
    "gemini",
    ["gemini-2.5-flash", "gemini-3-pro-preview"],
    GeminiClient.presets,
    GeminiClient.make,
    Gemini.make
  ),
  protocolOf("ollama", ["qwen3", "gpt-oss"], OllamaClient.presets, OllamaClient.make, Ollama.make),
  protocolOf("dashscope", ["qwen-plus", "qwen3-max"], DashScopeClient.presets, DashScopeClient.make, DashScope.make),
  {
    name: "embeddings",
    models: ["embed"],
    providers: Object.entries(EmbeddingsClient.presets).map(([name, preset]) => ({
      name,
      make: EmbeddingsClient.make(preset)
    }))
  }
]

// -------------------------------------------------------------------------------------
// a provider that records every request, answers the first ones of a call as it says, and refuses the others
// -------------------------------------------------------------------------------------

interface Sent {
  readonly transport: "HttpClient" | "direct"
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const refusal = JSON.stringify({ error: { message: "The request is refused." } })

const contentType = { "content-type": "application/json" }

interface Recording {
  readonly sent: Array<Sent>
  /** The bodies of answers. */
  readonly answers: Array<string>
}

const answerOf = ({ answers }: Recording): readonly [status: number, body: string] => {
  const answer = answers.shift()
  return answer === undefined ? [400, refusal] : [200, answer]
}

const portable = (recording: Recording): HttpClient.HttpClient =>
  HttpClient.make((request, url) =>
    Effect.sync(() => {
      const { body, headers, method } = request
      const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : body._tag
      recording.sent.push({ transport: "HttpClient", method, url: url.href, headers: { ...headers }, body: text })
      const [status, answer] = answerOf(recording)
      return HttpClientResponse.fromWeb(request, new Response(answer, { status, headers: contentType }))
    })
  )

const direct = (recording: Recording): HttpClient.HttpClient => {
  const client = portable(recording)
  Direct.register(client, {
    send: ({ body = "", headers, method, url }, sink) => {
      recording.sent.push({ transport: "direct", method, url, headers: { ...headers }, body })
      const [status, answer] = answerOf(recording)
      sink.onHead(status, contentType)
      sink.onData(new TextEncoder().encode(answer))
      sink.onEnd()
      return { abort: () => {}, pause: () => {}, resume: () => {} }
    }
  })
  return client
}

const llmOf = ({ make }: Provider, http: HttpClient.HttpClient, model: string): Effect.Effect<LLM.Service> =>
  Effect.flatMap(make, (client) =>
    LLM.make({ model, retry: false, timeouts: false, telemetry: false }).pipe(
      Effect.provide(Layer.succeed(ProviderClient, client)),
      Effect.provide(KeyPool.layer({ provider: client.provider, keys: ["key-one"] })),
      Effect.provide(RateLimiter.layerUnlimited),
      Effect.orDie
    )
  ).pipe(Effect.provideService(HttpClient.HttpClient, http))

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

interface Call {
  readonly kind: string
  readonly input: unknown
  /** The bodies of answers to its first requests. @default none */
  readonly answers?: ReadonlyArray<string>
  readonly run: (llm: LLM.Service) => Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>
}

const chats = (request: ChatRequest): ReadonlyArray<Call> => [
  { kind: "chat", input: request, run: (llm) => llm.chat(request) },
  { kind: "chatStream", input: request, run: (llm) => Stream.runDrain(llm.chatStream(request)) }
]

const run = <A, E extends { readonly _tag: string; readonly message: string }>(
  llm: LLM.Service,
  effect: Effect.Effect<A, E, LLM.LLM>
): Effect.Effect<A, E> => Effect.provideService(effect, LLM.LLM, llm)

/** One tool and one object with a schema. Its inputs are not written: a schema is not JSON, and what is sent has all of it. */
const withSchema = FastCheck.record({
  schema: FastCheck.oneof(schemas, FastCheck.constantFrom(...Object.values(userSchemas))),
  mode: FastCheck.constantFrom("auto" as const, "native" as const, "tool" as const, "prompt" as const),
  strict: FastCheck.option(FastCheck.boolean(), { nil: undefined })
}).map(({ mode, schema, strict }): ReadonlyArray<Call> => {
  const strictness = strict === undefined ? {} : { strict }
  const tool = Tool.make("look", {
    description: "Looks something up.",
    parameters: { value: schema, note: Schema.optional(Schema.String.annotations({ description: "A note." })) },
    handler: () => Effect.succeed("Found."),
    ...strictness
  })
  return [
    { kind: "runTools", input: strict, run: (llm) => run(llm, LLM.runTools("Look.", { tools: [tool] })) },
    {
      kind: "generateObject",
      input: { mode, strict },
      run: (llm) => run(llm, LLM.generateObject("Answer.", { schema, mode, ...strictness }))
    },
    {
      kind: "streamObject",
      input: { mode, strict },
      run: (llm) => run(llm, Stream.runDrain(LLM.streamObject("Answer.", { schema, mode, ...strictness })))
    }
  ]
})

/** A value with another one at a place of it; without that place for `undefined`. */
const withFault = (value: unknown, steps: ReadonlyArray<number>, fault: unknown): unknown => {
  const [step = 0, ...rest] = steps
  if (steps.length === 0 || typeof value !== "object" || value === null) return fault
  const keys = Object.keys(value)
  const at = keys[step % Math.max(keys.length, 1)] ?? "other"
  const changed = { ...value, [at]: withFault(Reflect.get(value, at), rest, fault) }
  return Array.isArray(value) ? Object.values(changed) : changed
}

const faults = FastCheck.oneof(
  FastCheck.constantFrom(
    undefined,
    null,
    true,
    0,
    0.5,
    -7,
    1e6,
    "",
    " a ",
    "ABC",
    "true",
    "2026",
    [],
    ["a"],
    {},
    { _tag: "b" }
  ),
  FastCheck.jsonValue({ maxDepth: 1 })
)

const completion = (message: object): string =>
  JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "gpt-5.2",
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: null, ...message } }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
  })

/** Answers, some of which do not fit their schema: the next request to the model has their faults. */
const withFaults = FastCheck.record({
  schema: FastCheck.oneof(
    sharedSchemas,
    FastCheck.constantFrom(
      ...Object.entries(userSchemas).flatMap(([name, schema]) => (decodedApart.has(name) ? [] : [schema]))
    )
  ),
  steps: FastCheck.array(FastCheck.nat(9), { maxLength: 4 }),
  fault: faults
}).map(({ fault, schema, steps }): ReadonlyArray<Call> => {
  const answer = valueOf(jsonSchemaOf(Schema.Struct({ value: schema })), mentionsOf(""))
  const value = JSON.stringify(withFault(answer, [0, ...steps], fault))
  const tool = Tool.make("look", {
    parameters: { value: schema },
    handler: (args) => Effect.succeed(JSON.stringify(args, (_, each) => (typeof each === "bigint" ? `${each}n` : each)))
  })
  return [
    {
      kind: "runTools, wrong arguments",
      input: value,
      answers: [
        completion({ tool_calls: [{ id: "call_1", type: "function", function: { name: "look", arguments: value } }] })
      ],
      run: (llm) => run(llm, LLM.runTools("Look.", { tools: [tool] }))
    },
    {
      kind: "generateObject, wrong answer",
      input: value,
      answers: [completion({ content: value }), completion({ content: value })],
      run: (llm) =>
        run(llm, LLM.generateObject("Answer.", { schema: Schema.Struct({ value: schema }), mode: "native" }))
    }
  ]
})

const texts = FastCheck.array(FastCheck.string({ minLength: 1, maxLength: 12, unit: "grapheme" }), {
  minLength: 1,
  maxLength: 4
})

const purposes: Array<NonNullable<EmbeddingRequest["purpose"]>> = [
  "query",
  "document",
  "similarity",
  "classification",
  "clustering"
]

const encodings: Array<NonNullable<EmbeddingRequest["encoding"]>> = ["float", "base64"]

const embeddingRequest: FastCheck.Arbitrary<EmbeddingRequest> = FastCheck.record(
  {
    input: texts,
    dimensions: FastCheck.integer({ min: 1, max: 4096 }),
    purpose: FastCheck.constantFrom(...purposes),
    encoding: FastCheck.constantFrom(...encodings),
    user: FastCheck.string({ maxLength: 8 }),
    extra: FastCheck.dictionary(FastCheck.stringMatching(/^x_[a-z]{1,5}$/), FastCheck.jsonValue({ maxDepth: 1 }))
  },
  { requiredKeys: ["input"] }
)

const embeddings = embeddingRequest.map((request): ReadonlyArray<Call> => [
  { kind: "embed", input: request, run: (llm) => llm.embed(request) }
])

const seed = 4

/** Of one provider: the faults in a request are the same for all. */
const faultyAnswers = 300

/** So many chats that are written, as many schemas and embeddings a protocol, over all its providers. */
const callsOf = (
  { models, name: protocol }: Protocol,
  { name, wire }: Provider,
  count: number,
  position: number
): ReadonlyArray<Call> => {
  const sample = <A>(generated: FastCheck.Arbitrary<A>, numRuns = count): ReadonlyArray<A> =>
    FastCheck.sample(generated, { numRuns, seed: seed + position })
  if (wire === undefined) return sample(embeddings).flat()
  // As it was generated, with the reasoning of the provider or of another one, and what the wire can express of it.
  const ofProviders = FastCheck.oneof(requestsTo(models), requestsTo(models, name))
  const requests = sample(ofProviders).flatMap((generated) => {
    // Without the symbols that fast-check puts on what it can clone.
    const request: ChatRequest = JSON.parse(JSON.stringify(generated))
    return [request, expressible(wire, request, { provider: name, model: request.model ?? "", stream: false })]
  })
  const answered = name === "openai" && protocol === "chat-completions" ? sample(withFaults, faultyAnswers).flat() : []
  return [...requests.flatMap(chats), ...sample(withSchema).flat(), ...answered, ...sample(embeddings).flat()]
}

// -------------------------------------------------------------------------------------
// the file
// -------------------------------------------------------------------------------------

const [path = "requests.ndjson", calls = "500"] = process.argv.slice(2)

const file = openSync(path, "w")

const writeRequests = Effect.gen(function* () {
  for (const protocol of protocols) {
    const count = Math.ceil(Number(calls) / protocol.providers.length)
    for (const [position, provider] of protocol.providers.entries()) {
      const made = callsOf(protocol, provider, count, position)
      for (const transport of [portable, direct]) {
        const recording: Recording = { sent: [], answers: [] }
        const { sent } = recording
        const llm = yield* llmOf(provider, transport(recording), protocol.models[0] ?? "")
        for (const { answers = [], input, kind, run } of made) {
          sent.length = 0
          recording.answers.splice(0, Infinity, ...answers)
          const ending = yield* Effect.match(run(llm), {
            onFailure: ({ _tag, message }) => `${_tag}: ${message}`,
            onSuccess: () => "success"
          })
          const line = { wire: protocol.name, provider: provider.name, kind, input, sent, ending }
          writeSync(file, `${JSON.stringify(line)}\n`)
        }
      }
    }
  }
})

await Effect.runPromise(writeRequests)
closeSync(file)
