/** One call of one tool: what the model wrote is read, the handler runs, and what the model is told of it is written. */
import { Effect, Either, Inspectable } from "effect"
import type { ToolCall } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type * as Tool from "./model.js"
import type { Arguments } from "../ToolArguments.js"
import * as ToolArguments from "../ToolArguments.js"
import type { Execution, OnFailure } from "./loopModel.js"
import { faultsOf, summary } from "../../internal/faults.js"
import * as MonotonicClock from "../../internal/clock.js"

export interface Settings {
  /** By name. */
  readonly handlers: ReadonlyMap<string, Tool.Any>
  readonly onFailure: OnFailure
  readonly repair: boolean
}

/** What the model is told of a call. */
interface Told {
  readonly text: string
  readonly isError: boolean
}

const told = (text: string): Told => ({ text, isError: false })

const rejected = (text: string): Told => ({ text, isError: true })

const describe = (failure: unknown): string => {
  if (!(failure instanceof Error)) return Inspectable.toStringUnknown(failure, 0)
  return failure.message === "" ? failure.name : `${failure.name}: ${failure.message}`
}

interface Read {
  readonly args: Arguments
  readonly repaired?: Arguments
}

const readArguments = (call: ToolCall, repair: boolean): Either.Either<Read, ToolArguments.InvalidArgumentsError> =>
  Either.orElse(
    Either.map(ToolArguments.parse(call), (args): Read => ({ args })),
    (error) => {
      const repaired = repair ? ToolArguments.complete(call.arguments) : undefined
      return repaired === undefined ? Either.left(error) : Either.right({ args: repaired, repaired })
    }
  )

/** OpenTelemetry semantic conventions for generative AI, "Execute tool span". */
const spanned = (call: ToolCall) =>
  Effect.withSpan(`execute_tool ${call.name}`, {
    captureStackTrace: false,
    attributes: {
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": call.name,
      "gen_ai.tool.call.id": call.id,
      "gen_ai.tool.type": "function"
    }
  })

const handle = (
  tool: Tool.Any,
  call: ToolCall,
  args: Arguments,
  onFailure: OnFailure
): Effect.Effect<Told, unknown, unknown> =>
  Effect.matchEffect(tool.prepare(args), {
    onFailure: ({ issue }) =>
      Effect.succeed(rejected(`The arguments of ${tool.name} are not valid. ${summary(faultsOf(issue))}`)),
    onSuccess: (handled) => {
      const answered = Effect.map(spanned(call)(handled), told)
      return onFailure === "fail"
        ? answered
        : Effect.catchAll(answered, (failure) => Effect.succeed(rejected(describe(failure))))
    }
  })

/** Runs a call. `cutOff`: the answer that it stands in hit its token limit. */
export const execute = (
  call: ToolCall,
  { handlers, onFailure, repair }: Settings,
  cutOff: boolean
): Effect.Effect<Execution, unknown, unknown> =>
  Effect.clockWith((clock) => {
    const startedAt = MonotonicClock.now(clock)
    const executed = ({ isError, text }: Told, repaired?: Arguments): Execution => ({
      call,
      result: { ...Chat.toolResult(call, text), ...(isError ? { isError } : {}) },
      duration: MonotonicClock.now(clock) - startedAt,
      ...(repaired === undefined ? {} : { repaired })
    })
    const tool = handlers.get(call.name)
    if (tool === undefined) {
      const known = [...handlers.keys()].join(", ")
      return Effect.succeed(executed(rejected(`There is no tool ${call.name}. The tools are: ${known}.`)))
    }
    const read = readArguments(call, repair && !cutOff)
    if (Either.isLeft(read)) {
      const reason = cutOff ? " The answer hit its token limit." : ""
      return Effect.succeed(executed(rejected(`${read.left.message}${reason}`)))
    }
    const { args, repaired } = read.right
    return Effect.map(handle(tool, call, args, onFailure), (answer) => executed(answer, repaired))
  })
