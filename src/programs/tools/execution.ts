/** Execution of one tool call: parses the arguments, runs the handler and makes the result for the model. */
import { Effect, Either, Inspectable } from "effect"
import type { ToolCall } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type * as Tool from "./model.js"
import type { Arguments } from "./arguments.js"
import * as ToolArguments from "./arguments.js"
import type { Execution, OnFailure } from "./loopModel.js"
import { faultsOf, summary } from "../../internal/faults.js"
import * as MonotonicClock from "../../internal/clock.js"

export interface ExecutionOptions {
  /** Tools by name. */
  readonly handlers: ReadonlyMap<string, Tool.Any>
  readonly onFailure: OnFailure
  readonly repair: boolean
}

/** The result of a call for the model. */
interface ToolOutput {
  readonly text: string
  readonly isError: boolean
}

const output = (text: string): ToolOutput => ({ text, isError: false })

const errorOutput = (text: string): ToolOutput => ({ text, isError: true })

const describe = (failure: unknown): string => {
  if (!(failure instanceof Error)) return Inspectable.toStringUnknown(failure, 0)
  return failure.message === "" ? failure.name : `${failure.name}: ${failure.message}`
}

interface ParsedArguments {
  readonly args: Arguments
  readonly repaired?: Arguments
}

const readArguments = (
  call: ToolCall,
  repair: boolean
): Either.Either<ParsedArguments, ToolArguments.InvalidArgumentsError> =>
  Either.orElse(
    Either.map(ToolArguments.parse(call), (args): ParsedArguments => ({ args })),
    (error) => {
      const repaired = repair ? ToolArguments.complete(call.arguments) : undefined
      return repaired === undefined ? Either.left(error) : Either.right({ args: repaired, repaired })
    }
  )

/** OpenTelemetry semantic conventions for generative AI, "Execute tool span". */
const withToolSpan = (call: ToolCall) =>
  Effect.withSpan(`execute_tool ${call.name}`, {
    captureStackTrace: false,
    attributes: {
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": call.name,
      "gen_ai.tool.call.id": call.id,
      "gen_ai.tool.type": "function"
    }
  })

const runHandler = (
  tool: Tool.Any,
  call: ToolCall,
  args: Arguments,
  onFailure: OnFailure
): Effect.Effect<ToolOutput, unknown, unknown> =>
  Effect.matchEffect(tool.prepare(args), {
    onFailure: ({ issue }) =>
      Effect.succeed(errorOutput(`The arguments of ${tool.name} are not valid. ${summary(faultsOf(issue))}`)),
    onSuccess: (handled) => {
      const result = Effect.map(withToolSpan(call)(handled), output)
      return onFailure === "fail"
        ? result
        : Effect.catchAll(result, (failure) => Effect.succeed(errorOutput(describe(failure))))
    }
  })

/** Runs a call. `cutOff` is whether its answer hit the token limit. */
export const execute = (
  call: ToolCall,
  { handlers, onFailure, repair }: ExecutionOptions,
  cutOff: boolean
): Effect.Effect<Execution, unknown, unknown> =>
  Effect.clockWith((clock) => {
    const startedAt = MonotonicClock.now(clock)
    const toExecution = ({ isError, text }: ToolOutput, repaired?: Arguments): Execution => ({
      call,
      result: { ...Chat.toolResult(call, text), ...(isError ? { isError } : {}) },
      duration: MonotonicClock.now(clock) - startedAt,
      ...(repaired === undefined ? {} : { repaired })
    })
    const tool = handlers.get(call.name)
    if (tool === undefined) {
      const names = [...handlers.keys()].join(", ")
      return Effect.succeed(toExecution(errorOutput(`There is no tool ${call.name}. The tools are: ${names}.`)))
    }
    const parsed = readArguments(call, repair && !cutOff)
    if (Either.isLeft(parsed)) {
      const reason = cutOff ? " The answer hit its token limit." : ""
      return Effect.succeed(toExecution(errorOutput(`${parsed.left.message}${reason}`)))
    }
    const { args, repaired } = parsed.right
    return Effect.map(runHandler(tool, call, args, onFailure), (output) => toExecution(output, repaired))
  })
