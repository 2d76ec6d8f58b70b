/**
 * The loop of a model and its tools: ask, run the handlers of what it calls, tell it the results, and ask again, until it
 * answers without a call. `LLM.runTools` and `LLM.runToolsStream` run it on the `LLM` in context; `run` and `stream` on one
 * at hand.
 *
 * What the model does wrong is told to the model: a tool that does not exist, arguments that are no JSON or do not fit the
 * schema. What a handler fails with is yours: it stands typed in the error channel, unless `onFailure` says otherwise.
 *
 * Tools that the request itself defines, in `tools` or `extra.tools`, have no handler here. When the model calls one, the
 * loop runs what it can, stops, and gives the rest back as `pending`.
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
import * as Checks from "../internal/optionChecks.js"
import type { ChatResponse, Message, ToolCall } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import type * as Tool from "./tools/model.js"
import type { Settings } from "./tools/execution.js"
import { execute } from "./tools/execution.js"
import type { Event, Execution, Failure, OnFailure, Options, Result, Round } from "./tools/loopModel.js"
import { RoundsExceededError } from "./tools/loopModel.js"

export * from "./tools/loopModel.js"

// -------------------------------------------------------------------------------------
// the loop
// -------------------------------------------------------------------------------------

type Asked = Exclude<Chat.ChatRequest.Input, string>

/** What every round asks, but for its messages. */
interface Plan extends Settings {
  readonly request: Asked
  readonly maxRounds: number
  readonly concurrency: Types.Concurrency
  /** Whether a call is for the caller of the loop. */
  readonly isForeign: (call: ToolCall) => boolean
}

const check = ({ concurrency = "unbounded", maxRounds = 8 }: Options<ReadonlyArray<Tool.Any>, OnFailure>): void =>
  Checks.valid("ToolLoop", ({ number }) => {
    number("maxRounds", maxRounds, Checks.isWhole(maxRounds, 1), "a whole number of at least 1")
    if (typeof concurrency === "number") {
      number("concurrency", concurrency, Checks.isWhole(concurrency, 1), "a whole number of at least 1")
    }
  })

const planOf = (input: Chat.ChatRequest.Input, options: Options<ReadonlyArray<Tool.Any>, OnFailure>): Plan => {
  const request: Asked = asObject(input)
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
    // The provider's own tools have names that only it knows.
    isForeign: ({ name }) =>
      !handlers.has(name) && (request.extra?.["tools"] !== undefined || plain.some((tool) => tool.name === name))
  }
}

/** A choice that forces a call holds for the first answer: for every one, the loop would have no end. */
const isForced = ({ toolChoice }: Asked): boolean => toolChoice === "required" || typeof toolChoice === "object"

const nextRequest = ({ request }: Plan, messages: ReadonlyArray<Message>, round: number): Asked => {
  const { toolChoice: _, ...free } = request
  return { ...(round > 1 && isForced(request) ? free : request), messages }
}

/** The answer as the model shall see it again: with repaired arguments, since servers refuse broken ones in a history. */
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

/** How the loop asks, and whom it tells what happens. */
interface Mode {
  readonly ask: (request: Asked, round: number) => Effect.Effect<ChatResponse, LLMError>
  readonly notify: (event: Event) => Effect.Effect<void>
}

const loop = ({ ask, notify }: Mode, plan: Plan): Effect.Effect<Result, unknown, unknown> =>
  Effect.gen(function* () {
    let messages: ReadonlyArray<Message> = plan.request.messages
    let usage = Usage.empty
    const rounds: Array<Round> = []
    for (let round = 1; round <= plan.maxRounds; round++) {
      const response = yield* ask(nextRequest(plan, messages, round), round)
      const [own, pending] = Arr.partition(response.toolCalls, plan.isForeign)
      const executions = yield* Effect.forEach(
        own,
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
      if (own.length === 0 || pending.length > 0) {
        const result: Result = { response, messages, pending, usage, rounds }
        yield* notify({ _tag: "Finish", result })
        return result
      }
    }
    return yield* new RoundsExceededError({ maxRounds: plan.maxRounds, messages, usage })
  })

/**
 * Runs the loop on an `LLM` at hand. See `LLM.runTools`.
 *
 * @since 0.1.0
 * @category running
 */
export function run<const Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure = "fail">(
  llm: Pick<Service, "chat">,
  request: Chat.ChatRequest.Input,
  options: Options<Tools, Failing>
): Effect.Effect<Result, LLMError | RoundsExceededError | Failure<Tools, Failing>, Tool.Requirements<Tools[number]>>

// The signature above gathers the errors and requirements of the tools, which the loop itself does not look at.
export function run(
  llm: Pick<Service, "chat">,
  request: Chat.ChatRequest.Input,
  options: Options<ReadonlyArray<Tool.Any>, OnFailure>
): Effect.Effect<Result, unknown, unknown> {
  check(options)
  return Effect.suspend(() => loop({ ask: llm.chat, notify: () => Effect.void }, planOf(request, options)))
}

/** How far the loop may run ahead of who reads its events. */
const eventsAhead = 16

/**
 * Runs the loop on an `LLM` at hand and tells what happens. See `LLM.runToolsStream`.
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
  options: Options<ReadonlyArray<Tool.Any>, OnFailure>
): Stream.Stream<Event, unknown, unknown> {
  check(options)
  return Stream.unwrapScoped(
    Effect.gen(function* () {
      const mailbox = yield* Mailbox.make<Event, unknown>(eventsAhead)
      const mode: Mode = {
        ask: (asked, round) =>
          Events.collect(
            Stream.mapChunksEffect(llm.chatStream(asked), (events) =>
              Effect.as(
                mailbox.offerAll(Chunk.map(events, (event): Event => ({ _tag: "Answer", round, event }))),
                events
              )
            )
          ),
        notify: (event) => mailbox.offer(event)
      }
      yield* Effect.forkScoped(Mailbox.into(loop(mode, planOf(request, options)), mailbox))
      return Mailbox.toStream(mailbox)
    })
  )
}
