/**
 * Thousands of requests: so many at once, each with a result or an error of its own, in their order, and none asked twice
 * when a killed process begins again.
 *
 * A request that fails in a way that time may mend is asked once more when all others are over. All of them wait at the
 * priority "batch": calls for which somebody waits pass them at the rate limiter.
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
import * as Journals from "./batch/journal.js"
import type { Journal, Options, Result, Running, Task, TaskOptions } from "./batch/model.js"
import * as BatchRun from "./batch/run.js"

export * from "./batch/model.js"

export {
  /**
   * A journal that cannot be used, with the `reason`.
   *
   * @since 0.1.0
   * @category errors
   */
  JournalError
} from "./batch/journal.js"

/**
 * A task of your own, such as a conversation with tools, or one that gives a value of a schema.
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
  codec: Journals.codec(options.success, options.failure)
})

const ofLLM = {
  failure: Errors.LLMError,
  isRetryable: Errors.isRetryable,
  retryAfter: Errors.retryAfter,
  tokensOf: (response: { readonly usage: { readonly totalTokens: number } }) => response.usage.totalTokens
}

/**
 * Asks the `LLM` in context for an answer to each request.
 *
 * @since 0.1.0
 * @category tasks
 */
export const chat: Task<ChatRequest.Input, ChatResponse, Errors.LLMError, LLM> = makeTask({
  ...ofLLM,
  name: "chat",
  ask: (request) => Effect.flatMap(LLM, (llm) => llm.chat(request)),
  success: ChatResponse
})

/**
 * Asks the `LLM` in context for the vectors of each request.
 *
 * @since 0.1.0
 * @category tasks
 */
export const embed: Task<EmbeddingRequest.Input, EmbeddingResponse, Errors.LLMError, LLM> = makeTask({
  ...ofLLM,
  name: "embed",
  ask: (request) => Effect.flatMap(LLM, (llm) => llm.embed(request)),
  success: EmbeddingResponse
})

/**
 * A journal in a file, which need not be there yet. Every line is on the disk before the batch goes on. One process at a time
 * may use it.
 *
 * @since 0.1.0
 * @category journal
 */
export const journal = (path: string): Effect.Effect<Journal, never, FileSystem.FileSystem> =>
  Effect.map(FileSystem.FileSystem, (fileSystem) => ({ path, fileSystem }))

/**
 * Starts a batch in the scope, and goes on at once. Fails where the journal is not one of this batch.
 *
 * Requests from a stream are asked as they come. If the stream fails, so does the result; what is done by then is in the
 * journal.
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
 * Runs a batch to its end. No request's failure is one of the batch: each has its own exit, in the order of the requests.
 *
 * Interrupting it aborts what is under way; run again with the same journal, it goes on from there. To watch it, use `start`.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <In, A, E, R, SE = never, SR = never>(
  requests: Iterable<In> | Stream.Stream<In, SE, SR>,
  options: Options<In, A, E, R>
): Effect.Effect<Result<A, E>, JournalError | SE, R | SR> =>
  Effect.scoped(Effect.flatMap(start(requests, options), ({ result }) => result))
