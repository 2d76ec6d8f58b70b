/** The tool loop: requests and tool calls in turn, until the model answers without a call and without a pause. */
import type { Types } from "effect"
import { Array as Arr, Chunk, Effect, Stream } from "effect"
import type { Service } from "../../call/model.js"
import { asObject } from "../../call/request.js"
import * as OptionChecks from "../../internal/optionChecks.js"
import type { ChatResponse, Message, ToolCall } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import * as Events from "../../vocabulary/ChatEvent.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Usage from "../../vocabulary/Usage.js"
import { eventsOf } from "../eventsOf.js"
import type * as Tool from "./model.js"
import type { ExecutionOptions } from "./execution.js"
import { execute } from "./execution.js"
import type { Event, Execution, Failure, OnFailure, Options, Result, Round } from "./loopModel.js"
import { RoundsExceededError } from "./loopModel.js"
import * as Mailbox from "../../internal/mailbox.js"

type Request = Chat.ChatRequest.Messages

/** The request and options of all rounds. */
interface Plan extends ExecutionOptions {
  readonly request: Request
  readonly maxRounds: number
  readonly stopWhen: (rounds: ReadonlyArray<Round>) => boolean
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
    stopWhen: options.stopWhen ?? (() => false),
    concurrency: options.concurrency ?? "unbounded",
    onFailure: options.onFailure ?? "fail",
    repair: options.repair ?? false,
    // Tools in `extra.tools` have names in provider-specific fields, so any unknown name can be one of them.
    isForeign: ({ name }) =>
      !handlers.has(name) && (request.extra?.["tools"] !== undefined || plain.some((tool) => tool.name === name))
  }
}

/** Whether the tool choice forces a call. It applies only until the first call, or the loop would never end. */
const isForced = ({ toolChoice }: Request): boolean => toolChoice === "required" || typeof toolChoice === "object"

const nextRequest = ({ request }: Plan, messages: ReadonlyArray<Message>, rounds: ReadonlyArray<Round>): Request => {
  const { toolChoice: _, ...free } = request
  const called = rounds.some(({ executions }) => executions.length > 0)
  return { ...(called && isForced(request) ? free : request), messages }
}

/** The answer for the next request, with repaired arguments, since servers reject broken ones in a history. */
const answerMessage = ({ content }: ChatResponse, executions: ReadonlyArray<Execution>): Message => {
  const repaired = new Map<Chat.AssistantPart, string>(
    executions.flatMap(({ call, repaired }) => (repaired === undefined ? [] : [[call, JSON.stringify(repaired)]]))
  )
  return Chat.toMessage({
    content: content.map((part) =>
      part.type === "tool-call" ? { ...part, arguments: repaired.get(part) ?? part.arguments } : part
    )
  })
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
      const response = yield* ask(nextRequest(plan, messages, rounds), round)
      // The calls in `content` and not those in `toolCalls`, which are other objects when the response was read from JSON.
      const [handled, pending] = Arr.partition(Chat.toolCallsOf(response.content), plan.isForeign)
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
      const goesOn = handled.length > 0 || response.finishReason === "pause"
      if (!goesOn || pending.length > 0 || plan.stopWhen(rounds)) {
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

/** Checks the options at once, and returns the loop of an `LLM`. See `LLM.runTools`. */
export function run<const Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure = "fail">(
  request: Chat.ChatRequest.Input,
  options: Options<Tools, Failing>
): (
  llm: Pick<Service, "chat">
) => Effect.Effect<Result, LLMError | RoundsExceededError | Failure<Tools, Failing>, Tool.Requirements<Tools[number]>>

// The signature above collects the errors and requirements of the tools, which the loop itself does not use.
export function run(
  request: Chat.ChatRequest.Input,
  options: AnyOptions
): (llm: Pick<Service, "chat">) => Effect.Effect<Result, unknown, unknown> {
  const loop = makeLoop(request, options)
  return (llm) => loop({ ask: llm.chat, notify: () => Effect.void })
}

/** Checks the options at once, and returns the events of the loop of an `LLM`. See `LLM.runToolsStream`. */
export function stream<const Tools extends ReadonlyArray<Tool.Any>, Failing extends OnFailure = "fail">(
  request: Chat.ChatRequest.Input,
  options: Options<Tools, Failing>
): (
  llm: Pick<Service, "chatStream">
) => Stream.Stream<Event, LLMError | RoundsExceededError | Failure<Tools, Failing>, Tool.Requirements<Tools[number]>>

export function stream(
  request: Chat.ChatRequest.Input,
  options: AnyOptions
): (llm: Pick<Service, "chatStream">) => Stream.Stream<Event, unknown, unknown> {
  const loop = makeLoop(request, options)
  return (llm) =>
    eventsOf<Event, unknown, unknown>((mailbox) =>
      loop({
        ask: (roundRequest, round) =>
          Events.collect(
            Stream.mapChunksEffect(llm.chatStream(roundRequest), (events) =>
              Effect.as(
                Mailbox.offerAll(
                  mailbox,
                  Chunk.map(events, (event): Event => ({ _tag: "Answer", round, event }))
                ),
                events
              )
            )
          ),
        notify: (event) => Mailbox.offer(mailbox, event)
      })
    )
}
