/**
 * The tool loop: sends a request, runs the handlers of the tools that the model calls, and sends their results, until the model
 * answers without a call. `LLM.runTools` and `LLM.runToolsStream` use the `LLM` in context; `run` and `stream` take one as an
 * argument.
 *
 * Mistakes of the model are reported to the model: an unknown tool, arguments that are not JSON or do not fit the schema. Failures
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
import type { Types } from "effect"
import { Array as Arr, Chunk, Effect, Mailbox, Stream } from "effect"
import type { Service } from "../call/model.js"
import { asObject } from "../call/request.js"
import * as OptionChecks from "../internal/optionChecks.js"
import type { ChatResponse, Message, ToolCall } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import type * as Tool from "./tools/model.js"
import type { ExecutionOptions } from "./tools/execution.js"
import { execute } from "./tools/execution.js"
import type { Event, Execution, Failure, OnFailure, Options, Result, Round } from "./tools/loopModel.js"
import { RoundsExceededError } from "./tools/loopModel.js"

export * from "./tools/loopModel.js"

// -------------------------------------------------------------------------------------
// the loop
// -------------------------------------------------------------------------------------

type Request = Chat.ChatRequest.Messages

/** The request and options of all rounds. */
interface Plan extends ExecutionOptions {
  readonly request: Request
  readonly maxRounds: number
  readonly concurrency: Types.Concurrency
  /** Whether the caller of the loop handles a call. */
  readonly isForeign: (call: ToolCall) => boolean
}

type AnyOptions = Options<ReadonlyArray<Tool.Any>, OnFailure>

const check = ({ concurrency = "unbounded", maxRounds = 8 }: AnyOptions): void =>
  OptionChecks.valid("ToolLoop", ({ number }) => {
    number("maxRounds", maxRounds, OptionChecks.isWhole(maxRounds, 1), "a whole number of at least 1")
    if (typeof concurrency === "number") {
      number("concurrency", concurrency, OptionChecks.isWhole(concurrency, 1), "a whole number of at least 1")
    }
  })

const planOf = (input: Chat.ChatRequest.Input, options: AnyOptions): Plan => {
  const request: Request = asObject(input)
  const handlers = new Map(options.tools.map((tool) => [tool.name, tool]))
  const plain = (request.tools ?? []).filter(({ name }) => !handlers.has(name))
  const definitions = [...options.tools.map((tool) => tool.definition), ...plain]
  return {
    request: definitions.length === 0 ? request : { ...request, tools: definitions },
    handlers,
    maxRounds: options.maxRounds ?? 8,
    concurrency: options.concurrency ?? "unbounded",
    onFailure: options.onFailure ?? "fail",
    repair: options.repair ?? false,
    // Tools in `extra.tools` have names in provider-specific fields, so any unknown name can be one of them.
    isForeign: ({ name }) =>
      !handlers.has(name) && (request.extra?.["tools"] !== undefined || plain.some((tool) => tool.name === name))
  }
}

/** Whether the tool choice forces a call. It applies only to the first round, or the loop would never end. */
const isForced = ({ toolChoice }: Request): boolean => toolChoice === "required" || typeof toolChoice === "object"

const nextRequest = ({ request }: Plan, messages: ReadonlyArray<Message>, round: number): Request => {
  const { toolChoice: _, ...free } = request
  return { ...(round > 1 && isForced(request) ? free : request), messages }
}

/** The answer for the next request, with repaired arguments, since servers reject broken ones in a history. */
const answerMessage = (response: ChatResponse, executions: ReadonlyArray<Execution>): Message => {
  const repaired = new Map(
    executions.flatMap(({ call, repaired }) => (repaired === undefined ? [] : [[call, JSON.stringify(repaired)]]))
  )
  const message = Chat.toMessage(response)
  return repaired.size === 0
    ? message
    : {
        ...message,
        toolCalls: response.toolCalls.map((call) => ({ ...call, arguments: repaired.get(call) ?? call.arguments }))
      }
}

/** How the loop sends requests and emits events. */
interface Mode {
  readonly ask: (request: Request, round: number) => Effect.Effect<ChatResponse, LLMError>
  readonly notify: (event: Event) => Effect.Effect<void>
}

const runLoop = ({ ask, notify }: Mode, plan: Plan): Effect.Effect<Result, unknown, unknown> =>
  Effect.gen(function* () {
    let messages: ReadonlyArray<Message> = plan.request.messages
    let usage = Usage.empty
    const rounds: Array<Round> = []
    for (let round = 1; round <= plan.maxRounds; round++) {
      const response = yield* ask(nextRequest(plan, messages, round), round)
      const [handled, pending] = Arr.partition(response.toolCalls, plan.isForeign)
      const executions = yield* Effect.forEach(
        handled,
        (call) =>
          Effect.zipRight(
            notify({ _tag: "ToolStart", round, call }),
            Effect.tap(execute(call, plan, response.finishReason === "length"), (execution) =>
              notify({ _tag: "ToolEnd", round, execution })
            )
          ),
        { concurrency: plan.concurrency }
      )
      const done: Round = { response, executions }
      rounds.push(done)
      usage = Usage.combine(usage, response.usage)
      messages = [...messages, answerMessage(response, executions), ...executions.map((execution) => execution.result)]
      yield* notify({ _tag: "RoundEnd", round, done })
      if (handled.length === 0 || pending.length > 0) {
        const result: Result = { response, messages, pending, usage, rounds }
        yield* notify({ _tag: "Finish", result })
        return result
      }
    }
    return yield* new RoundsExceededError({ maxRounds: plan.maxRounds, messages, usage })
  })

/** Checks the options at once and returns the loop, which makes its plan when it starts. */
const makeLoop = (input: Chat.ChatRequest.Input, options: AnyOptions) => {
  check(options)
  return (mode: Mode) => Effect.suspend(() => runLoop(mode, planOf(input, options)))
}

/**
 * Runs the loop on the given `LLM`. See `LLM.runTools`.
 *
 * @since 0.1.0
 * @category running
 */
export function run<const Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure = "fail">(
  llm: Pick<Service, "chat">,
  request: Chat.ChatRequest.Input,
  options: Options<Tools, Failing>
): Effect.Effect<Result, LLMError | RoundsExceededError | Failure<Tools, Failing>, Tool.Requirements<Tools[number]>>

// The signature above collects the errors and requirements of the tools, which the loop itself does not use.
export function run(
  llm: Pick<Service, "chat">,
  request: Chat.ChatRequest.Input,
  options: AnyOptions
): Effect.Effect<Result, unknown, unknown> {
  return makeLoop(request, options)({ ask: llm.chat, notify: () => Effect.void })
}

/** The maximum number of events that the loop runs ahead of its consumer. */
const eventsAhead = 16

/**
 * Runs the loop on the given `LLM` and streams its events. See `LLM.runToolsStream`.
 *
 * @since 0.1.0
 * @category running
 */
export function stream<const Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure = "fail">(
  llm: Pick<Service, "chatStream">,
  request: Chat.ChatRequest.Input,
  options: Options<Tools, Failing>
): Stream.Stream<Event, LLMError | RoundsExceededError | Failure<Tools, Failing>, Tool.Requirements<Tools[number]>>

export function stream(
  llm: Pick<Service, "chatStream">,
  request: Chat.ChatRequest.Input,
  options: AnyOptions
): Stream.Stream<Event, unknown, unknown> {
  const loop = makeLoop(request, options)
  return Stream.unwrapScoped(
    Effect.gen(function* () {
      const mailbox = yield* Mailbox.make<Event, unknown>(eventsAhead)
      const mode: Mode = {
        ask: (roundRequest, round) =>
          Events.collect(
            Stream.mapChunksEffect(llm.chatStream(roundRequest), (events) =>
              Effect.as(
                mailbox.offerAll(Chunk.map(events, (event): Event => ({ _tag: "Answer", round, event }))),
                events
              )
            )
          ),
        notify: (event) => mailbox.offer(event)
      }
      yield* Effect.forkScoped(Mailbox.into(loop(mode), mailbox))
      return Mailbox.toStream(mailbox)
    })
  )
}
