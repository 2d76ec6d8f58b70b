/**
 * The tools of a `Toolkit` of `@effect/ai` for the tool loop of this library, alone or beside its own.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Effect, Schema } from "effect"
 * import { LLM } from "effect-llm"
 * import { LLMToolkit } from "effect-llm/ai"
 *
 * const Weather = Tool.make("weather", { parameters: { city: Schema.String }, success: Schema.String })
 * const toolkit = Toolkit.make(Weather)
 * const Handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed(`Sun in ${city}.`) })
 *
 * const program = Effect.gen(function* () {
 *   const tools = LLMToolkit.tools(yield* toolkit)
 *   return yield* LLM.runTools("What should I wear in Oslo?", { tools })
 * }).pipe(Effect.provide(Handlers))
 * ```
 *
 * @since 0.2.0
 */
import type * as AiError from "@effect/ai/AiError"
import * as AiTool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import { Effect, Schema } from "effect"
import * as Generated from "../programs/tools/generated.js"
import type * as Tool from "../programs/tools/model.js"
import { definition } from "./request.js"
import type { Handled } from "./tools.js"
import { parametersSchema, run } from "./tools.js"

/**
 * The tool of this library that a tool of a toolkit becomes. Beside the failures of its handler it fails with an `AiError` when a result
 * does not fit its schema. A tool with the failure mode `return` does not fail: the model gets its failures as results.
 *
 * @since 0.2.0
 * @category type-level
 */
export type ToolOf<T extends AiTool.Any> = T extends AiTool.Any
  ? Tool.Tool<
      T["name"],
      AiTool.Parameters<T>,
      AiTool.Result<T>,
      AiTool.HandlerError<T> | AiError.AiError,
      AiTool.Requirements<T>
    >
  : never

type Tools = Record<string, AiTool.Any>

/**
 * Returns the tools of a toolkit, whose handlers are in context when the toolkit is yielded. Tools that a provider runs are left out: they
 * are fields of a request (`extra.tools`).
 *
 * @since 0.2.0
 * @category constructors
 */
export function tools<T extends Tools>(toolkit: Toolkit.WithHandler<T>): ReadonlyArray<ToolOf<T[keyof T]>>

// The signature above pairs each tool with the types of its handler, which `handle` takes and returns as one.
export function tools(toolkit: Handled): ReadonlyArray<Tool.Any> {
  return Object.values(toolkit.tools)
    .filter((tool) => !AiTool.isProviderDefined(tool))
    .map((tool): Tool.Any => {
      const parameters = parametersSchema(tool)
      const decode = Generated.decoder(parameters)
      const encode = Schema.encode(parameters)
      const handle = (args: unknown) => Effect.flatMap(encode(args), (encoded) => run(toolkit, tool, encoded))
      return {
        name: tool.name,
        definition: definition(tool),
        handler: (args) => Effect.map(handle(args), ({ result }) => result),
        prepare: (args) => Effect.map(decode(args), (decoded) => Effect.map(handle(decoded), ({ text }) => text))
      }
    })
}
