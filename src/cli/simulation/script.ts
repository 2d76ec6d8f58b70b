/** Reads the script of `simulate`: the answers of the simulated provider, in JSON or YAML. */
import type { FileSystem } from "@effect/platform"
import { Effect, Either, ParseResult, Schema } from "effect"
import { faultsOf } from "../../internal/faults.js"
import * as SimulatedProvider from "../../testing/SimulatedProvider.js"
import type { ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import { toolCall, toolCallsOf } from "../../vocabulary/Chat.js"
import { isRecord } from "../../wire/json.js"
import type { Fault } from "../config/document.js"
import * as Document from "../config/document.js"
import type { CliFailure } from "../failure.js"
import { usageFailure } from "../failure.js"
import { faults as namedFaults } from "./faults.js"
import { millisOf } from "./input.js"

const expected = (message: string) => ({ message: () => ({ message: `expected ${message}`, override: true }) })

/** Milliseconds, from a time such as `500ms`, or from a number of seconds. */
const Time = Schema.transformOrFail(Schema.Union(Schema.NonNegative, Schema.String), Schema.Number, {
  strict: true,
  decode: (time, _, ast) => {
    const millis = typeof time === "number" ? time * 1000 : millisOf(time)
    return millis === undefined ? ParseResult.fail(new ParseResult.Type(ast, time)) : ParseResult.succeed(millis)
  },
  encode: (millis) => ParseResult.succeed(millis / 1000)
}).annotations(expected("a time such as 500ms or 2s, or a number of seconds"))

/** A text, or an expression between slashes. */
const Matcher = Schema.transformOrFail(Schema.NonEmptyString, Schema.Union(Schema.String, Schema.instanceOf(RegExp)), {
  strict: true,
  decode: (text, _, ast) => {
    const [, source, flags] = /^\/(.+)\/([a-z]*)$/s.exec(text) ?? []
    if (source === undefined) return ParseResult.succeed(text)
    return ParseResult.try({
      try: () => new RegExp(source, flags),
      catch: () => new ParseResult.Type(ast, text)
    })
  },
  encode: (matcher) => ParseResult.succeed(String(matcher))
}).annotations(expected("a text, or a valid expression such as /weather in (Paris|Rome)/i"))

const Status = Schema.Int.pipe(Schema.between(400, 599)).annotations(expected("a status from 400 to 599"))

const Text = Schema.String.annotations(expected("a text"))

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

const ErrorFields = Schema.Struct({
  status: Status,
  message: optional(Text),
  code: optional(Text),
  retry_after: optional(Time)
})

const ToolCall = Schema.Struct({
  name: Schema.NonEmptyString.annotations(expected("the name of a tool")),
  arguments: optional(
    Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations(expected("an object with the arguments"))
  )
})

const Entry = Schema.Struct({
  when: optional(Schema.Struct({ message: optional(Matcher), model: optional(Matcher) })),
  times: optional(
    Schema.Union(Schema.Int.pipe(Schema.positive()), Schema.Literal("always")).annotations(
      expected('a positive whole number, or "always"')
    )
  ),
  delay: optional(Time),
  text: optional(Text),
  json: optional(Schema.Unknown),
  reasoning: optional(Text),
  tool_calls: optional(Schema.Array(ToolCall)),
  error: optional(Schema.Union(Status, ErrorFields)),
  fault: optional(
    Schema.Literal("reset", "truncate", "garbage", "hang", "drip").annotations(
      expected(`one of ${Object.keys(namedFaults).join(", ")}`)
    )
  )
})

type Entry = typeof Entry.Type

const decode = Schema.decodeUnknownEither(Schema.NonEmptyArray(Entry), { errors: "all", onExcessProperty: "error" })

/** Fields of an entry that exclude each other. */
const exclusive: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["json", ["text"]],
  ["error", ["text", "json", "reasoning", "tool_calls", "fault"]]
]

const conflictsOf = (entries: ReadonlyArray<unknown>): ReadonlyArray<Fault> =>
  entries.flatMap((entry, index) =>
    exclusive.flatMap(([field, others]) =>
      isRecord(entry) && field in entry
        ? others
            .filter((other) => other in entry)
            .map((other) => ({ path: `[${index}].${field}`, message: `cannot stand beside ${other}` }))
        : []
    )
  )

/** Arguments that the script does not tell are made from the schema of the tool. */
const callOf = (request: ChatRequest, call: typeof ToolCall.Type, index: number) => {
  const generated = (): string =>
    toolCallsOf(SimulatedProvider.generateAnswer({ ...request, toolChoice: { name: call.name } }).content ?? [])[0]
      ?.arguments ?? "{}"
  const args = call.arguments === undefined ? generated() : JSON.stringify(call.arguments)
  return toolCall(`call_${request.messages.length}_${index}`, call.name, args)
}

const answerOf =
  ({ json, reasoning, text, tool_calls: calls = [] }: Entry) =>
  (request: ChatRequest): Partial<ChatResponse> => {
    const content = text ?? (json === undefined ? undefined : JSON.stringify(json))
    return {
      content: [
        // Anthropic takes reasoning back with a signature alone.
        ...(reasoning === undefined ? [] : [{ type: "reasoning" as const, text: reasoning, signature: "simulated" }]),
        ...(content === undefined ? [] : [{ type: "text" as const, text: content }]),
        ...calls.map((call, index) => callOf(request, call, index))
      ]
    }
  }

const faultOf = ({ error, fault }: Entry): SimulatedProvider.Fault | undefined => {
  if (error === undefined) return fault === undefined ? undefined : namedFaults[fault]
  if (typeof error === "number") return SimulatedProvider.status(error)
  const { retry_after: retryAfter, status, ...rest } = error
  return SimulatedProvider.status(status, { ...rest, ...(retryAfter === undefined ? {} : { retryAfter }) })
}

const entryOf = (entry: Entry): SimulatedProvider.ScriptEntry => {
  const { delay, json, reasoning, text, times, tool_calls: calls, when } = entry
  const fault = faultOf(entry)
  const hasAnswer = [json, reasoning, text, calls].some((field) => field !== undefined)
  return {
    ...(when === undefined ? {} : { when }),
    ...(times === undefined ? {} : { times: times === "always" ? Infinity : times }),
    ...(delay === undefined ? {} : { delay }),
    ...(fault === undefined ? {} : { fault }),
    ...(hasAnswer ? { answer: answerOf(entry) } : {})
  }
}

/** The script, or all faults of the file. */
export const parse = (
  text: string,
  path: string
): Either.Either<ReadonlyArray<SimulatedProvider.ScriptEntry>, ReadonlyArray<Fault>> =>
  Either.flatMap(Document.parse(text, path), ({ duplicates, locate, value }) => {
    if (!Array.isArray(value) || value.length === 0) {
      return Either.left([{ path: "", message: "expected a list of answers, such as - text: Hello" }])
    }
    const entries = value.map((entry: unknown) => (typeof entry === "string" ? { text: entry } : entry))
    const conflicts = conflictsOf(entries)
    const decoded = decode(entries)
    const faults = [...conflicts, ...(Either.isLeft(decoded) ? faultsOf(decoded.left.issue) : [])].map(
      ({ message, path }) => locate({ path, message })
    )
    return Either.isLeft(decoded) || faults.length + duplicates.length > 0
      ? Either.left([...faults, ...duplicates].sort(Document.byPosition))
      : Either.right(decoded.right.map(entryOf))
  })

/** Reads the file. */
export const load = (
  path: string
): Effect.Effect<ReadonlyArray<SimulatedProvider.ScriptEntry>, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(Document.read(path), (text) =>
    Either.mapLeft(parse(text, path), (faults) =>
      usageFailure(`${path} cannot be used.\n${faults.map((fault) => Document.formatFault(path, fault)).join("\n")}`)
    )
  )
