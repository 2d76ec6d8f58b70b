/** A request of the playground: its body, and the same request as code, with the key as a variable of the environment. */

/** What the form has; an empty text means the default of the model. */
export interface Fields {
  readonly model: string
  readonly system: string
  readonly message: string
  readonly temperature: string
  readonly maxTokens: string
  readonly effort: string
  readonly stream: boolean
  readonly json: boolean
}

/** The body for Chat Completions, as in OpenAI's API reference. */
export const bodyOf = (fields: Fields) => ({
  model: fields.model,
  messages: [
    ...(fields.system === "" ? [] : [{ role: "system", content: fields.system }]),
    { role: "user", content: fields.message }
  ],
  ...(fields.temperature === "" ? {} : { temperature: Number(fields.temperature) }),
  ...(fields.maxTokens === "" ? {} : { max_completion_tokens: Number(fields.maxTokens) }),
  ...(fields.effort === "" ? {} : { reasoning_effort: fields.effort }),
  ...(fields.json ? { response_format: { type: "json_object" } } : {}),
  ...(fields.stream ? { stream: true, stream_options: { include_usage: true } } : {})
})

const indented = (value: unknown, spaces: number): string =>
  JSON.stringify(value, null, 2).replaceAll("\n", `\n${" ".repeat(spaces)}`)

/** A text in single quotes of a POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const curl = (address: string, fields: Fields): string =>
  [
    `curl ${fields.stream ? "-N " : ""}${address}/chat/completions`,
    `-H "authorization: Bearer $GATEWAY_KEY"`,
    `-H "content-type: application/json"`,
    `-d ${quoted(JSON.stringify(bodyOf(fields), null, 2))}`
  ].join(" \\\n  ")

const openai = (address: string, fields: Fields): string => `import OpenAI from "openai"

const client = new OpenAI({ baseURL: ${JSON.stringify(address)}, apiKey: process.env.GATEWAY_KEY })

${
  fields.stream
    ? `const stream = await client.chat.completions.create(${indented(bodyOf(fields), 0)})
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "")`
    : `const answer = await client.chat.completions.create(${indented(bodyOf(fields), 0)})
console.log(answer.choices[0]?.message.content)`
}
`

const effectLLM = (address: string, fields: Fields): string => {
  const request = {
    messages: bodyOf(fields).messages,
    ...(fields.temperature === "" ? {} : { temperature: Number(fields.temperature) }),
    ...(fields.maxTokens === "" ? {} : { maxTokens: Number(fields.maxTokens) }),
    ...(fields.effort === "" ? {} : { reasoning: { effort: fields.effort } }),
    ...(fields.json ? { responseFormat: "json" } : {})
  }
  const run = fields.stream
    ? `LLM.text(LLM.chatStream(${indented(request, 0)})).pipe(
  Stream.runForEach((text) => Effect.sync(() => process.stdout.write(text)))
)`
    : `Effect.flatMap(
  LLM.chat(${indented(request, 2)}),
  (answer) => Console.log(answer.text)
)`
  return `import { ${fields.stream ? "Effect, Layer, Redacted, Stream" : "Console, Effect, Layer, Redacted"} } from "effect"
import { LLM } from "effect-llm"
import { NodeTransport } from "effect-llm/node"

const Gateway = LLM.layerKeys({
  provider: "gateway",
  baseUrl: ${JSON.stringify(address)},
  model: ${JSON.stringify(fields.model)},
  keys: [Redacted.make(process.env["GATEWAY_KEY"] ?? "")]
}).pipe(Layer.provide(NodeTransport.layerUndici))

const program = ${run}

Effect.runPromise(Effect.provide(program, Gateway))
`
}

/** `address`: of the gateway, with `/v1`. */
export const languages: Readonly<Record<string, (address: string, fields: Fields) => string>> = {
  curl,
  "TypeScript, openai": openai,
  "TypeScript, effect-llm": effectLLM
}
