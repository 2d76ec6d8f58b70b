/** The tools of a request as a toolkit of `@effect/ai`. */
import * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import { Effect, Schema } from "effect"
import type { ToolDefinition } from "../vocabulary/Chat.js"

/** An object of any fields, whose JSON Schema is that of the request: the model's provider sends it as it is. */
const objectOf = (jsonSchema: object) =>
  Schema.Struct({}).annotations({ jsonSchema, parseOptions: { onExcessProperty: "preserve" } })

/** The schema of a structured answer. Its value is not checked here, but by the caller. */
export const answerSchema = objectOf

const toolOf = ({ description, name, parameters = { type: "object", properties: {} } }: ToolDefinition) =>
  Tool.make(name, description === undefined ? {} : { description }).setParameters(objectOf(parameters))

type Tools = Record<string, Tool.Any>

/** The tools without handlers: the calls of an `LLM` are run by its caller, so `handle` is never called. */
export const toolkitOf = (tools: ReadonlyArray<ToolDefinition>): Toolkit.WithHandler<Tools> => ({
  tools: Object.fromEntries(tools.map((tool): [string, Tool.Any] => [tool.name, toolOf(tool)])),
  handle: (name) => Effect.dieMessage(`The tool ${name} has no handler here.`)
})
