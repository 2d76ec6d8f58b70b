/** What the matrix asks of every client, and the tools and the object that it asks for. */
import { z } from "zod"

/** The models of the gateway, one of each protocol of a provider. */
export const providers = {
  openai: "OpenAI (Chat Completions)",
  responses: "OpenAI (Responses)",
  anthropic: "Anthropic",
  gemini: "Gemini",
  ollama: "Ollama"
} as const

export type Provider = keyof typeof providers

/** Where a client finds a model. */
export interface Target {
  /** Of the gateway, without a path. */
  readonly url: string
  readonly apiKey: string
  readonly model: string
}

export interface ToolRun {
  /** The last answer. */
  readonly text: string
  /** The calls of all turns, in their order. */
  readonly calls: ReadonlyArray<string>
}

/** A client of a model. Nothing is retried. */
export interface Session {
  readonly ask: (prompt: string, stream: boolean) => Promise<string>
  /** Answers calls of `clock` and `weather` until the model has no more. */
  readonly run: (prompt: string, stream: boolean) => Promise<ToolRun>
  /** A value of `City`. */
  readonly object: (prompt: string) => Promise<unknown>
  /** Aborts a stream at its first text. */
  readonly abort: (prompt: string) => Promise<void>
  /** Absent where the client has no embeddings. */
  readonly embed?: (texts: Array<string>) => Promise<ReadonlyArray<ReadonlyArray<number>>>
  /** The names of the models. Absent where the client has no list. */
  readonly models?: () => Promise<ReadonlyArray<string>>
}

export interface Client {
  /** Its package, and the protocol where it has several. */
  readonly name: string
  readonly connect: (target: Target) => Session
  /** The class, or the class and what tells errors of one class apart. */
  readonly errorName: (error: unknown) => string
  /** The names of what the client throws for these statuses. */
  readonly errors: Readonly<Record<401 | 404 | 429, string>>
}

export const City = z.object({ name: z.string(), inhabitants: z.number() })

export const oslo = { name: "Oslo", inhabitants: 709_037 }

export const ClockInput = z.object({ zone: z.string() })
export const WeatherInput = z.object({ city: z.string() })

/** The tools in JSON Schema, for clients that want it. */
export const tools = [
  { name: "clock", description: "The time.", schema: schemaOf("zone") },
  { name: "weather", description: "The weather.", schema: schemaOf("city") }
]

function schemaOf(field: string) {
  return {
    type: "object" as const,
    properties: { [field]: { type: "string" } },
    required: [field],
    additionalProperties: false
  }
}

/** The same in the format of Chat Completions. */
export const functions = tools.map(({ schema, ...tool }) => ({
  type: "function" as const,
  function: { ...tool, parameters: schema }
}))

/** Runs a tool, and keeps the calls. */
export const makeTools = () => {
  const calls: Array<string> = []
  return {
    calls,
    execute: (name: string, input: unknown): string => {
      calls.push(`${name} ${JSON.stringify(input)}`)
      return name === "clock" ? "noon" : "rain"
    }
  }
}

export const classOf = (error: unknown): string => (error instanceof Error ? error.constructor.name : String(error))

/** A field of an error that its class does not show. */
export const fieldOf = (error: unknown, name: string): string =>
  typeof error === "object" && error !== null ? String(Reflect.get(error, name)) : ""
