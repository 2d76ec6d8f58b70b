/**
 * The tool loop: sends a request, runs the handlers of the tools that the model calls, and sends their results, until the model
 * answers without a call. `LLM.runTools` runs it, `LLM.runToolsStream` streams its events.
 *
 * A provider that runs tools of its own can interrupt a long answer (finish reason `pause`). The loop then sends the conversation
 * with this answer at its end, so that the model goes on.
 *
 * Mistakes of the model are reported to the model: an unknown tool, arguments that are not valid JSON or do not fit the schema. Failures
 * of handlers fail the loop with their type, unless `onFailure` is `"report"`.
 *
 * Tools that the request itself defines, in `tools` or `extra.tools`, have no handler. When the model calls one, the loop runs the
 * other calls, stops, and returns the rest as `pending`.
 *
 * @example
 * ```ts
 * import { Console, Effect, Schema, Stream } from "effect"
 * import { LLM, Tool } from "effect-llm"
 *
 * const add = Tool.make("add", {
 *   parameters: { a: Schema.Number, b: Schema.Number },
 *   success: Schema.Number,
 *   handler: ({ a, b }) => Effect.succeed(a + b)
 * })
 *
 * const program = LLM.runToolsStream("What is 2 + 3, and 4 + 5?", { tools: [add] }).pipe(
 *   Stream.runForEach((event) =>
 *     event._tag === "ToolEnd" ? Console.log(event.execution.call.arguments, event.execution.result.content) : Effect.void
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 */
export * from "./tools/loopModel.js"
