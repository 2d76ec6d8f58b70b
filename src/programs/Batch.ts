/**
 * Runs thousands of requests with bounded concurrency and returns one exit for each, in order. With a journal, a batch whose
 * process was killed resumes without asking an answered request again.
 *
 * A request with a retryable error is asked once more when all others are over. All requests have the priority "batch" at the
 * rate limiter: other calls go first.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Effect, Exit } from "effect"
 * import { Batch } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const journal = yield* Batch.journal("answers.ndjson")
 *   const { exits } = yield* Batch.run(["What is 1 + 1?", "What is 2 + 2?"], { task: Batch.chat, journal, concurrency: 16 })
 *   return exits.map(Exit.match({ onFailure: () => "", onSuccess: (answer) => answer.text }))
 * }).pipe(Effect.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 */
import { FileSystem } from "@effect/platform"
import type { Scope, Stream } from "effect"
import { Effect, Option } from "effect"
import { LLM } from "../call/model.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import { ChatResponse } from "../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import { EmbeddingResponse } from "../vocabulary/Embedding.js"
import * as Errors from "../vocabulary/LLMError.js"
import type { JournalError } from "./batch/journal.js"
import { codec } from "./batch/exitCodec.js"
import type { Journal, Options, Result, Running, Task, TaskOptions } from "./batch/model.js"
import * as BatchRun from "./batch/run.js"

export * from "./batch/model.js"

export {
  /**
   * The error of a journal that cannot be used, with the `reason`.
   *
   * @since 0.1.0
   * @category errors
   */
  JournalError
} from "./batch/journal.js"

/**
 * Makes a custom task, such as a conversation with tools or structured output.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Batch, LLM, LLMError } from "effect-llm"
 *
 * const City = Schema.Struct({ name: Schema.String, population: Schema.Number })
 *
 * const cityTask = Batch.makeTask({
 *   name: "cities",
 *   ask: (country: string) =>
 *     Effect.map(LLM.generateObject(`The largest city of ${country}.`, { schema: City }), ({ value }) => value),
 *   success: City,
 *   failure: LLMError.LLMError,
 *   isRetryable: LLMError.isRetryable,
 *   retryAfter: LLMError.retryAfter
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeTask = <In, A, I, E, EI, R>(options: TaskOptions<In, A, I, E, EI, R>): Task<In, A, E, R> => ({
  name: options.name,
  ask: options.ask,
  identify: options.identify ?? ((request) => JSON.stringify(request)),
  isRetryable: options.isRetryable ?? (() => false),
  retryAfter: options.retryAfter ?? Option.none,
  tokensOf: options.tokensOf ?? (() => 0),
  codec: codec(options.success, options.failure)
})

const llmTask = {
  failure: Errors.LLMError,
  isRetryable: Errors.isRetryable,
  retryAfter: Errors.retryAfter,
  tokensOf: (response: { readonly usage: { readonly totalTokens: number } }) => response.usage.totalTokens
}

/**
 * A task that sends each request as a chat to the `LLM` in context.
 *
 * @since 0.1.0
 * @category tasks
 */
export const chat: Task<ChatRequest.Input, ChatResponse, Errors.LLMError, LLM> = makeTask({
  ...llmTask,
  name: "chat",
  ask: (request) => Effect.flatMap(LLM, (llm) => llm.chat(request)),
  success: ChatResponse
})

/**
 * A task that embeds each request with the `LLM` in context.
 *
 * @since 0.1.0
 * @category tasks
 */
export const embed: Task<EmbeddingRequest.Input, EmbeddingResponse, Errors.LLMError, LLM> = makeTask({
  ...llmTask,
  name: "embed",
  ask: (request) => Effect.flatMap(LLM, (llm) => llm.embed(request)),
  success: EmbeddingResponse
})

/**
 * A journal in a file, which is created if needed. Every line is on the disk before the batch continues. Only one process at a
 * time can use it.
 *
 * @since 0.1.0
 * @category journal
 */
export const journal = (path: string): Effect.Effect<Journal, never, FileSystem.FileSystem> =>
  Effect.map(FileSystem.FileSystem, (fileSystem) => ({ path, fileSystem }))

/**
 * Starts a batch in the background of the scope. Fails when the journal belongs to another batch.
 *
 * Requests of a stream are asked as they arrive. If the stream fails, so does the result; the journal contains all results up to
 * then.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Batch } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const { progress, result } = yield* Batch.start(["What is 1 + 1?", "What is 2 + 2?"], { task: Batch.chat })
 *   yield* Effect.fork(Stream.runForEach(progress, ({ done, total }) => Effect.logInfo(`${done} of ${total}`)))
 *   return yield* result
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const start = <In, A, E, R, SE = never, SR = never>(
  requests: Iterable<In> | Stream.Stream<In, SE, SR>,
  options: Options<In, A, E, R>
): Effect.Effect<Running<A, E, JournalError | SE>, JournalError, R | SR | Scope.Scope> =>
  BatchRun.start(requests, options)

/**
 * Runs a batch to its end. A failed request does not fail the batch: each request has its exit, in the order of the requests.
 *
 * Interruption aborts the requests in flight; a new run with the same journal resumes from there. Use `start` for progress.
 *
 * Fails with `JournalError` when the journal cannot be read or written, or belongs to another batch, and with the error of a stream of requests.
 *
 * @example
 * ```ts
 * import { Effect, Exit } from "effect"
 * import { Batch } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const { exits } = yield* Batch.run(["What is 1 + 1?", "What is 2 + 2?"], { task: Batch.chat, concurrency: 16 })
 *   return exits.map(Exit.match({ onFailure: () => "", onSuccess: (answer) => answer.text }))
 * })
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const run = <In, A, E, R, SE = never, SR = never>(
  requests: Iterable<In> | Stream.Stream<In, SE, SR>,
  options: Options<In, A, E, R>
): Effect.Effect<Result<A, E>, JournalError | SE, R | SR> =>
  Effect.scoped(Effect.flatMap(start(requests, options), ({ result }) => result))
